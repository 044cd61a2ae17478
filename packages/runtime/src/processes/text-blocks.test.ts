import fc from 'fast-check';
import { expect, test } from 'vitest';
import { textBlocks } from './text-blocks.ts';

test('parts of any length are complete and in order, in blocks that are not empty', () => {
  const part = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.nat(40_000).map(length => 'é'.repeat(length)),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 20 }), parts => {
      const blocks = [...textBlocks(parts)];
      expect(blocks.every(({ length }) => length > 0)).toBe(true);
      expect(Buffer.concat(blocks).toString('utf8')).toBe(parts.join(''));
    }),
  );
});
