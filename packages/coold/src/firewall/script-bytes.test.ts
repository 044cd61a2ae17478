import fc from 'fast-check';
import { expect, test } from 'vitest';
import { scriptBytes } from './script-bytes.ts';

test('lines of any length and script are there whole, each with its end', () => {
  const line = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.nat(9000).map(length => 'é'.repeat(length)),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 20 }), lines => {
      const text = Buffer.from(scriptBytes(lines)).toString('utf8');
      expect(text).toBe(lines.map(one => `${one}\n`).join(''));
    }),
  );
});
