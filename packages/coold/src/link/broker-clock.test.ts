import { expect, it } from 'vitest';
import { createBrokerClock } from './broker-clock.ts';

function setUp() {
  const at = { wall: Date.parse('2030-01-01T00:00:00Z'), monotonic: 5000 };
  const clock = createBrokerClock(
    () => at.wall,
    () => at.monotonic,
  );
  return { at, clock };
}

it('knows nothing until the broker has said its time', () => {
  const { clock } = setUp();
  for (const nothing of [undefined, '', 'yesterday', 12]) clock.told(nothing);
  expect(clock.aheadMs()).toBeUndefined();
  expect(clock.isOff()).toBe(false);
});

it.each([
  ['Tue, 01 Jan 2030 00:00:00 GMT', -500, false],
  ['Tue, 01 Jan 2030 00:00:58 GMT', -58_500, false],
  ['Mon, 31 Dec 2029 23:00:00 GMT', 3_599_500, true],
  ['Tue, 01 Jan 2030 01:00:00 GMT', -3_600_500, true],
])('by an answer of %s it is %d ms ahead, and off: %s', (date, ahead, isOff) => {
  const { clock } = setUp();
  clock.told(date);
  expect(clock.aheadMs()).toBe(ahead);
  expect(clock.isOff()).toBe(isOff);
});

it('follows this clock when it is set, and lets both go on', () => {
  const { at, clock } = setUp();
  clock.told('Tue, 01 Jan 2030 00:00:00 GMT');
  at.wall += 7_200_000;
  at.monotonic += 7_200_000;
  expect(clock.aheadMs()).toBe(-500);
  at.wall += 3_600_000;
  expect(clock.isOff()).toBe(true);
  at.wall -= 3_600_000;
  expect(clock.isOff()).toBe(false);
});
