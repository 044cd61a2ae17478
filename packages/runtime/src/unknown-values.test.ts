import { expect, it } from 'vitest';
import { errorMessage, isObject, parseJson } from './unknown-values.ts';

it.each([
  [new Error('full'), 'full'],
  [new TypeError('no list'), 'no list'],
  ['text', 'text'],
  [undefined, 'undefined'],
])('the message of %s is %s', (thrown, message) => {
  expect(errorMessage(thrown)).toBe(message);
});

it.each([
  [{}, true],
  [{ a: 1 }, true],
  [[], false],
  [null, false],
  ['{}', false],
  [undefined, false],
])('%j is an object: %s', (value, expected) => {
  expect(isObject(value)).toBe(expected);
});

it.each([
  ['{"a":1}', { a: 1 }],
  ['null', null],
  ['{"a":', undefined],
  ['', undefined],
])('parses %s as %j', (text, expected) => {
  expect(parseJson(text)).toEqual(expected);
});
