import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import { expect, it } from 'vitest';
import { readDuration } from './durations.ts';

const read = (json: JsonValue) => readDuration(fromJson(ValueSchema, json), 'f');

it.each<[JsonValue, number]>([
  [5, 5e9],
  [0, 0],
  [0.5, 0.5e9],
  ['5s', 5e9],
  ['1m30s', 90e9],
  ['1.5h', 5400e9],
  ['500ms', 0.5e9],
  ['0', 0],
])('%j is a time', (json, ns) => {
  expect(read(json)).toBe(ns);
});

it('an empty text is not a duration', () => {
  expect(readDuration(undefined, 'f')).toBeUndefined();
});

it.each<JsonValue>([
  -1,
  '-5s',
  '5',
  '5 s',
  's',
  '',
  '1d',
  '1e3s',
  '٥s',
  1e300,
  '9'.repeat(60).concat('h'),
  true,
  null,
  [],
  {},
])('%j is refused', json => {
  expect(() => read(json)).toThrow(expect.objectContaining({ code: 400, field: 'f' }));
});
