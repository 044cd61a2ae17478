import { expect, it } from 'vitest';
import { createRandomIds } from './random-ids.ts';

it('use all 16 bits, and differ from run to run', () => {
  const [draw, other] = [createRandomIds(), createRandomIds()];
  const ids = Array.from({ length: 100_000 }, draw);
  expect(Math.min(...new Set(ids))).toBeLessThan(16);
  expect(Math.max(...new Set(ids))).toBeGreaterThan(0xffff - 16);
  // Of 65,536 some 51,000 come in so many draws.
  expect(new Set(ids).size).toBeGreaterThan(45_000);
  expect(ids.slice(0, 5000)).not.toEqual(Array.from({ length: 5000 }, other));
});
