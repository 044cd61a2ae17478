import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFramer, wholeCharacters } from './framer.ts';

const text = (...parts: string[]) => parts.map(part => Buffer.from(part, 'latin1'));

describe('frames', () => {
  it('hold back the beginning of a character until its rest has come, a stream at a time', () => {
    const framer = createFramer(100);
    const [first, second] = text('a\xe2\x82', '\xacb');
    expect(framer.push({ stream: 'stdout', data: first ?? Buffer.alloc(0) })).toEqual([
      { stream: 'stdout', data: Buffer.from('a') },
    ]);
    expect(framer.push({ stream: 'stderr', data: Buffer.from('!') })).toEqual([
      { stream: 'stderr', data: Buffer.from('!') },
    ]);
    expect(framer.push({ stream: 'stdout', data: second ?? Buffer.alloc(0) })).toEqual([
      { stream: 'stdout', data: Buffer.from('€b') },
    ]);
    expect(framer.end()).toEqual([]);
  });

  it('give at the end what never became a character', () => {
    const framer = createFramer(100);
    const [data = Buffer.alloc(0)] = text('\xf0\x9f');
    expect(framer.push({ stream: 'stdout', data })).toEqual([]);
    expect(framer.end()).toEqual([{ stream: 'stdout', data }]);
    expect(framer.end()).toEqual([]);
  });

  it('carry text as text, however it was cut, and none is too long', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 200 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 4, max: 40 }),
        (all, step, max) => {
          const framer = createFramer(max);
          const bytes = Buffer.from(all);
          const got: Buffer[] = [];
          for (let at = 0; at < bytes.length; at += step)
            got.push(
              ...framer
                .push({ stream: 'stdout', data: bytes.subarray(at, at + step) })
                .map(({ data }) => data),
            );
          expect(framer.end()).toEqual([]);
          expect(Buffer.concat(got)).toEqual(bytes);
          expect(got.every(data => isUtf8(data) && data.length > 0 && data.length <= max)).toBe(true);
        },
      ),
    );
  });

  it('lose nothing of bytes that are not text', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 20 })),
        fc.integer({ min: 4, max: 30 }),
        (parts, max) => {
          const framer = createFramer(max);
          const frames = parts.flatMap(part => framer.push({ stream: 'stdout', data: Buffer.from(part) }));
          const got = [...frames, ...framer.end()].map(({ data }) => data);
          expect(Buffer.concat(got)).toEqual(Buffer.concat(parts));
          expect(got.every(data => data.length <= max)).toBe(true);
        },
      ),
    );
  });

  it('have room for whole characters only', () => {
    const euro = Buffer.from('€€');
    expect([0, 1, 2, 3, 4, 5, 6, 7].map(max => wholeCharacters(euro, max))).toEqual([0, 0, 0, 3, 3, 3, 6, 6]);
  });
});
