import { expect, it } from 'vitest';
import { budgetLines } from './line-budget.ts';

it('lines beyond the budget of a second are dropped, counted, and reported later', () => {
  const lines: unknown[] = [];
  const write = (fields: object, message: string) => void lines.push({ ...fields, message });
  let now = 5000;
  const log = budgetLines({ debug: write, info: write, warn: write } as never, 2, () => now);
  for (const n of [1, 2, 3, 4]) log('warn', { n }, 'failed');
  expect(lines).toEqual([
    { n: 1, message: 'failed' },
    { n: 2, message: 'failed' },
  ]);
  now = 6000;
  log('info', { n: 5 }, 'failed');
  expect(lines.slice(2)).toEqual([
    { lines: 2, message: expect.stringContaining('left out') },
    { n: 5, message: 'failed' },
  ]);
  now = 7000;
  log('info', { n: 6 }, 'failed');
  expect(lines).toHaveLength(5);
});
