import { expect, it } from 'vitest';
import { createTally } from './tally.ts';

it('a tally says what happened the 1st, 10th and 100th time, each by itself', () => {
  const said: unknown[] = [];
  const tally = createTally({ warn: (...line: unknown[]) => void said.push(line) });
  for (let n = 0; n < 99; n += 1) tally({ n }, 'ignored');
  tally({ id: 'x' }, 'other');
  expect(said).toEqual([
    [{ n: 0, times: 1 }, 'ignored'],
    [{ n: 9, times: 10 }, 'ignored'],
    [{ id: 'x', times: 1 }, 'other'],
  ]);
});
