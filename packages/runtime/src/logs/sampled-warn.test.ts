import { expect, it } from 'vitest';
import { createSampledWarn } from './sampled-warn.ts';

it('warns the 1st, 10th and 100th time of each message', () => {
  const said: unknown[] = [];
  const warnSampled = createSampledWarn({ warn: (...line: unknown[]) => void said.push(line) });
  for (let n = 0; n < 99; n += 1) warnSampled({ n }, 'ignored');
  warnSampled({ id: 'x' }, 'other');
  expect(said).toEqual([
    [{ n: 0, times: 1 }, 'ignored'],
    [{ n: 9, times: 10 }, 'ignored'],
    [{ id: 'x', times: 1 }, 'other'],
  ]);
});
