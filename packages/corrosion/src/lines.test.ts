import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linesOf } from './lines.ts';

async function* chunks(parts: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* parts;
}
const collect = async (parts: readonly Buffer[]) => {
  const lines: string[] = [];
  for await (const line of linesOf(chunks(parts))) lines.push(line);
  return lines;
};

describe('the lines of a body', () => {
  it('are the same however it is cut into chunks', async () => {
    const line = fc.string({ unit: 'grapheme', minLength: 1 }).filter(text => !text.includes('\n'));
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.array(fc.integer({ min: 1, max: 9 })), async (lines, sizes) => {
        const whole = Buffer.from(lines.map(text => `${text}\n`).join(''));
        const parts: Buffer[] = [];
        for (let at = 0; at < whole.length; ) {
          const size = sizes[parts.length % Math.max(1, sizes.length)] ?? 7;
          parts.push(whole.subarray(at, at + size));
          at += size;
        }
        expect(await collect(parts)).toEqual(lines);
      }),
    );
  });

  it('do not end in the middle of one', async () => {
    await expect(collect([Buffer.from('{"a":1}\n{"b"')])).rejects.toMatchObject({ fault: 'unreachable' });
  });

  it('are bounded', async () => {
    const endless = Array.from({ length: 40 }, () => Buffer.alloc(1 << 16, 'x'));
    await expect(collect(endless)).rejects.toMatchObject({ fault: 'malformed' });
  });
});
