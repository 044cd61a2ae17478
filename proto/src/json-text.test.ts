import { describe, expect, it } from 'vitest';
import { maxJsonDepth, readJsonText } from './json-text.ts';

const read = (text: string) => readJsonText(Buffer.from(text));
const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;

describe('a JSON text', () => {
  it('is read', () => {
    expect(read('{"a":[1,{"b":"ü"}],"constructor":null}')).toEqual({ a: [1, { b: 'ü' }], constructor: null });
    expect(read('3')).toBe(3);
  });

  it('may be nested 32 deep and no deeper', () => {
    expect(() => read(nested(maxJsonDepth))).not.toThrow();
    expect(() => read(nested(maxJsonDepth + 1))).toThrow('body: is nested deeper than 32');
    expect(() => read(nested(500_000))).toThrow('body: is nested deeper than 32');
    expect(() => read(`${'{"a":'.repeat(33)}1${'}'.repeat(33)}`)).toThrow('deeper than 32');
  });

  it.each([
    ['{"__proto__":{"a":1}}', '__proto__'],
    ['{"env":{"__proto__":"x"}}', 'env.__proto__'],
    ['{"a":[0,{"\\u005f_proto__":1}]}', 'a[1].__proto__'],
  ])('has no __proto__: %s', (text, field) => {
    expect(() => read(text)).toThrow(expect.objectContaining({ name: 'FieldError', field }));
  });

  it.each(['', '{', '{"a":1}}', "{'a':1}", '\ufeff{}', 'undefined', 'NaN'])('is JSON, not %j', text => {
    expect(() => read(text)).toThrow(/^body: is not JSON$/);
  });

  it('is UTF-8, and its complaint says nothing of it', () => {
    expect(() => readJsonText(Buffer.from('7b2261223a22ff227d', 'hex'))).toThrow(/^body: is not UTF-8$/);
    // Cut in the middle of a character, too; and nothing of it is left for the next.
    expect(() => readJsonText(Buffer.from('22e282', 'hex'))).toThrow(/^body: is not UTF-8$/);
    expect(readJsonText(Buffer.from('"€"'))).toBe('€');
    expect(() => read('{"token":"s3cret"')).toThrow(/^body: is not JSON$/);
  });
});
