import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createBackoff } from './backoff.ts';

/** A drawing that always comes out highest, so that a wait shows its ceiling. */
const highest = () => 1;

it('doubles its ceiling up to the maximum', () => {
  const backoff = createBackoff({ firstMs: 1000, maxMs: 60_000, random: highest });
  const waits = Array.from({ length: 8 }, () => backoff.next());
  expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
});

it('begins again after a reset', () => {
  const backoff = createBackoff({ firstMs: 1000, maxMs: 60_000, random: highest });
  backoff.next();
  backoff.next();
  backoff.reset();
  expect([backoff.next(), backoff.next()]).toEqual([1000, 2000]);
});

it('draws from the whole range, beginning with no wait at all', () => {
  const backoff = createBackoff({ firstMs: 1000, maxMs: 60_000, random: () => 0 });
  expect([backoff.next(), backoff.next()]).toEqual([0, 0]);
});

it('waits whole milliseconds in proportion to the drawing, and never beyond the ceiling', () => {
  const draws = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { maxLength: 20 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5000 }), fc.nat(60_000), draws, (firstMs, above, drawn) => {
      const maxMs = firstMs + above;
      let draw = 0;
      const backoff = createBackoff({ firstMs, maxMs, random: () => draw });
      for (const [tries, value] of drawn.entries()) {
        draw = value;
        const ceiling = Math.min(firstMs * 2 ** tries, maxMs);
        expect(backoff.next()).toBe(Math.floor(value * ceiling));
      }
    }),
  );
});

it('spreads many waits over the range by default', () => {
  const waits = Array.from({ length: 200 }, () => createBackoff({ firstMs: 1000, maxMs: 1000 }).next());
  expect(Math.max(...waits)).toBeLessThan(1000);
  // All 200 in one half: once in 2^199 runs.
  expect(Math.min(...waits)).toBeLessThan(500);
  expect(Math.max(...waits)).toBeGreaterThanOrEqual(500);
});
