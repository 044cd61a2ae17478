import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLineReader } from './line-reader.ts';

const texts = (lines: Buffer[]) => lines.map(line => line.toString('utf8'));

describe('lines out of bytes', () => {
  it('are the same however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.string(), fc.array(fc.nat(20)), (text, cuts) => {
        const reader = createLineReader(1000);
        const found: Buffer[] = [];
        let rest = Buffer.from(text);
        for (const cut of cuts) {
          found.push(...reader.push(rest.subarray(0, cut)));
          rest = rest.subarray(cut);
        }
        found.push(...reader.push(rest), ...reader.end());
        const expected = Buffer.from(text).toString('utf8').split('\n');
        if (expected.at(-1) === '') expected.pop();
        expect(texts(found)).toEqual(expected);
      }),
    );
  });

  it('come as soon as they are complete', () => {
    const reader = createLineReader(10);
    expect(reader.push(Buffer.from('a'))).toEqual([]);
    expect(texts(reader.push(Buffer.from('b\n\nc')))).toEqual(['ab', '']);
    expect(texts(reader.end())).toEqual(['c']);
    expect(reader.end()).toEqual([]);
  });

  it('have a longest, whether they have ended or not', () => {
    const reader = createLineReader(3);
    expect(texts(reader.push(Buffer.from('abc\n')))).toEqual(['abc']);
    reader.push(Buffer.from('ab'));
    expect(() => reader.push(Buffer.from('cd'))).toThrow('lines[1]: expected at most 3 bytes');
    expect(() => createLineReader(3).push(Buffer.from('abcd\n'))).toThrow('lines[0]');
  });
});
