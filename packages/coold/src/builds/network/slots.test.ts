import { expect, it } from 'vitest';
import { Slots } from './slots.ts';

const none = new Set<number>();

it('gives the slot after the last one, from the first again after the end, and skips those in use', () => {
  const slots = new Slots({ first: 1, last: 4 }, 2);
  expect(slots.reserve('a', none)).toBe(3);
  expect(slots.reserve('b', none)).toBe(4);
  expect(slots.reserve('c', new Set([1]))).toBe(2);
  slots.release('b');
  expect(slots.reserve('d', new Set([1]))).toBe(4);
  expect(slots.size).toBe(3);
});

it('gives none when all are taken or plugged', () => {
  const slots = new Slots({ first: 1, last: 2 }, 2);
  expect(slots.reserve('a', new Set([2]))).toBe(1);
  expect(slots.reserve('b', new Set([2]))).toBeUndefined();
  expect(slots.size).toBe(1);
});
