import { expect, test } from 'vitest';
import { createHistory } from './history.ts';

test('allows exactly the states within the window', () => {
  const history = createHistory(0);
  const allows = (seen: string, from: number, to: number) => history.allows(seen, { from, to });
  expect(allows('missing', 0, 10)).toBe(true);
  expect(allows('10.0.0.2', 0, 10)).toBe(false);
  history.change(20)(30, '10.0.0.2');
  expect(allows('10.0.0.2', 10, 19)).toBe(false);
  expect(allows('10.0.0.2', 10, 20)).toBe(true);
  expect(allows('missing', 30, 40)).toBe(true);
  expect(allows('missing', 31, 40)).toBe(false);
  expect(allows('10.0.0.3', 0, 1000)).toBe(false);
  history.change(50)(60, '10.0.0.3');
  expect(allows('10.0.0.2', 60, 70)).toBe(true);
  expect(allows('10.0.0.2', 61, 70)).toBe(false);
  expect(allows('10.0.0.3', 61, 70)).toBe(true);
});

test('allows the old state, the new one and absence during a change', () => {
  const history = createHistory(0);
  history.change(10)(20, '10.0.0.2');
  const finish = history.change(50);
  finish(60, '10.0.0.3');
  const within = { from: 54, to: 55 };
  for (const seen of ['10.0.0.2', 'missing', '10.0.0.3']) expect(history.allows(seen, within)).toBe(true);
  expect(history.allows('10.0.0.4', within)).toBe(false);
  expect(history.age('10.0.0.2', 55)).toBe(0);
  expect(history.age('10.0.0.2', 75)).toBe(15);
  expect(history.age('10.0.0.3', 40)).toBeUndefined();
});

test('describes what happened, with times', () => {
  const history = createHistory(0);
  expect(history.tell(5000, { from: 0, to: 5000 })).toBe('nothing happened to it');
  history.change(1000)(2000, '10.0.0.2', 'run');
  history.change(5500)(7000, undefined, 'kill');
  history.change(30_000)(31_000, '10.0.0.3', 'start');
  history.change(40_000)(41_000, undefined, 'stop');
  const told = history.tell(20_000, { from: 10_000, to: 20_500 });
  expect(told).toBe('-14.5 s to -13.0 s: kill, then missing; +10.0 s to +11.0 s: start, then 10.0.0.3');
});
