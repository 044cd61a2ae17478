import { create, type DescMessage, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { compileProto } from './buf.ts';
import { type JsonCodec, jsonCodec } from './json.ts';

const proto = `
  syntax = "proto3";
  package test;
  import "google/protobuf/struct.proto";
  message Free {
    google.protobuf.Struct tree = 1;
    google.protobuf.Value any = 2;
    google.protobuf.ListValue items = 3;
    repeated google.protobuf.Value anys = 4;
    map<string, google.protobuf.Value> by_name = 5;
  }`;

let free: DescMessage;
let codec: JsonCodec;
beforeAll(async () => {
  const found = (await compileProto({ 'test.proto': proto })).getMessage('test.Free');
  if (found === undefined) throw new Error('no message test.Free');
  free = found;
  codec = jsonCodec(free);
});

/** Read, sent as bytes, and written again. */
function across(json: unknown): unknown {
  return codec.encode(fromBinary(free, toBinary(free, codec.decode(json))));
}

describe('free-form JSON', () => {
  it('leaves as it came', () => {
    const tree = {
      size: Number.MAX_SAFE_INTEGER,
      least: Number.MIN_SAFE_INTEGER,
      share: 0.1,
      name: 'é',
      none: null,
      list: [1, [], {}, [true, null]],
    };
    const json = { tree, any: '5s', items: [1, 'a', null], anys: [5, '5s', null], by_name: { a: [1] } };
    expect(across(json)).toEqual(json);
  });

  it('of any shape leaves as it came', () => {
    const json = fc.jsonValue({ maxDepth: 5, noUnicodeString: false });
    fc.assert(
      fc.property(json, any => {
        const sent: unknown = JSON.parse(JSON.stringify(any));
        if (JSON.stringify(sent).includes('__proto__')) return;
        expect(across({ any: sent, anys: [] })).toEqual({ any: sent, anys: [], by_name: {} });
      }),
    );
  });

  it('that was never filled in is null or absent', () => {
    expect(codec.encode(create(free, { anys: [{}] }))).toEqual({ anys: [null], by_name: {} });
  });

  const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
  it.each<[string, unknown, string]>([
    ['a list for an object', { tree: [1] }, 'tree'],
    ['text for an object', { tree: '' }, 'tree'],
    ['an object for a list', { items: {} }, 'items'],
    ['a number that JSON does not have', { tree: { a: [Number.POSITIVE_INFINITY] } }, 'tree.a[0]'],
    ['a prototype for a key', JSON.parse('{"tree":{"a":{"__proto__":{}}}}'), 'tree.a.__proto__'],
    ['nesting without end', { any: nested(40) }, 'any'],
  ])('with %s is refused', (_, json, field) => {
    expect(() => codec.decode(json)).toThrow(
      expect.objectContaining({ name: 'FieldError', field: expect.stringContaining(field) as string }),
    );
  });
});
