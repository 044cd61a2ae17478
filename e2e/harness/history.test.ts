import { expect, test } from 'vitest';
import { createHistory } from './history.ts';

test('what was true within the window is right, and nothing else', () => {
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

test('while something is under way the old, the new and an absence are right', () => {
  const history = createHistory(0);
  history.change(10)(20, '10.0.0.2');
  const finish = history.change(50);
  finish(60, '10.0.0.3');
  const within = { from: 54, to: 55 };
  for (const seen of ['10.0.0.2', 'missing', '10.0.0.3']) expect(history.allows(seen, within)).toBe(true);
  expect(history.allows('10.0.0.4', within)).toBe(false);
});
