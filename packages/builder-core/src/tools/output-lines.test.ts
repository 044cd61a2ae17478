import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createLineSplitter, type OutputLine } from './output-lines.ts';

function linesOf(chunks: Buffer[]): OutputLine[] {
  const splitter = createLineSplitter();
  return [...chunks.flatMap(chunk => splitter.push(chunk)), ...splitter.end()];
}

it('splits at line feeds and carriage returns, and marks lines that a terminal would overwrite', () => {
  expect(linesOf([Buffer.from('a\r'), Buffer.from('b\r\nc\rd\ne')])).toEqual([
    { text: 'a', transient: true },
    { text: 'b', transient: false },
    { text: 'c', transient: true },
    { text: 'd', transient: false },
    { text: 'e', transient: false },
  ]);
});

it('yields the same wherever the chunks end, and loses nothing', () => {
  const unit = fc.constantFrom('a', 'ä', '😀', '\n', '\r', '\r\n', ' ');
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 40 }), fc.array(fc.nat(8), { maxLength: 40 }), (units, sizes) => {
      const bytes = Buffer.from(units.join(''));
      const chunks: Buffer[] = [];
      let at = 0;
      for (const size of sizes) {
        chunks.push(bytes.subarray(at, at + size));
        at += size;
      }
      chunks.push(bytes.subarray(at));
      expect(linesOf(chunks)).toEqual(linesOf([bytes]));
      expect(
        linesOf(chunks)
          .map(({ text }) => text)
          .join(''),
      ).toBe(units.join('').replaceAll(/[\r\n]/g, ''));
    }),
  );
});

it('holds back no more than a line of bounded length', () => {
  const splitter = createLineSplitter();
  const lines = splitter.push(Buffer.alloc(1_000_000, 'x'));
  expect(lines.every(({ text }) => text.length <= 4096)).toBe(true);
  expect(lines.reduce((sum, { text }) => sum + text.length, 0)).toBeGreaterThan(995_000);
});
