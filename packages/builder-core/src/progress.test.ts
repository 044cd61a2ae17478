import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createTracker, type Progress } from './progress.ts';

it('counts a stage up to where the next begins', () => {
  const seen: Progress[] = [];
  const tracker = createTracker(progress => seen.push(progress));
  tracker.enter('git', 40);
  tracker.advance(0.5);
  tracker.advance(0.5);
  tracker.log('a line');
  tracker.enter('stack', 50);
  expect(seen).toEqual([
    { stage: 'git', percent: 0, log: '' },
    { stage: 'git', percent: 20, log: '' },
    { stage: 'git', percent: 20, log: 'a line' },
    { stage: 'stack', percent: 40, log: '' },
  ]);
});

it('never falls, never leaves 0 to 100, and is a whole number', () => {
  fc.assert(
    fc.property(fc.array(fc.double()), shares => {
      const seen: number[] = [];
      const tracker = createTracker(({ percent }) => seen.push(percent));
      tracker.enter('git', 40);
      for (const share of shares) tracker.advance(share);
      tracker.enter('buildah', 95);
      for (const share of shares) tracker.advance(share);
      expect(seen).toEqual(seen.toSorted((a, b) => a - b));
      expect(seen.every(percent => Number.isInteger(percent) && percent >= 0 && percent <= 100)).toBe(true);
    }),
  );
});
