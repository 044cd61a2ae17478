import { expect, it } from 'vitest';
import { createUnknownFor } from './unknown-for.ts';

it('counts from the first call at which it is unknown, until it is known', () => {
  let now = 1000;
  const unknownFor = createUnknownFor(() => now);
  expect(unknownFor(false)).toBe(0);
  now += 15_000;
  expect(unknownFor(true)).toBe(0);
  now += 15_000;
  expect(unknownFor(true)).toBe(15_000);
  expect(unknownFor(false)).toBe(0);
  now += 15_000;
  expect(unknownFor(true)).toBe(0);
});
