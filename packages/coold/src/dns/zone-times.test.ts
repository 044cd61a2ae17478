import { expect, it } from 'vitest';
import {
  createZoneTimes,
  createZoneTimesMemory,
  readZoneTimes,
  sampled,
  zoneTimeLimits,
} from './zone-times.ts';

it('one question in so many is measured, and threads add up', () => {
  let now = 1000;
  const memory = createZoneTimesMemory();
  const threads = [createZoneTimes(memory, () => now), createZoneTimes(memory, () => now)];
  for (const times of threads) {
    const begun = Array.from({ length: 3 * sampled }, () => times.begin()).filter(at => at > 0);
    expect(begun).toEqual([1000, 1000, 1000]);
  }
  const [one, other] = threads;
  now = 1000.02;
  one?.took(1000);
  now = 1003;
  other?.took(1000);
  now = 3500;
  other?.took(1000);
  const { cumulative, sumSeconds } = readZoneTimes(memory);
  const upTo = (limit: (typeof zoneTimeLimits)[number]) => cumulative[zoneTimeLimits.indexOf(limit)];
  expect([upTo(0.00001), upTo(0.000025), upTo(0.0025), upTo(0.005), upTo(1), cumulative.at(-1)]).toEqual([
    0, 1, 1, 2, 2, 3,
  ]);
  expect(sumSeconds).toBeCloseTo(2.50302, 5);
});
