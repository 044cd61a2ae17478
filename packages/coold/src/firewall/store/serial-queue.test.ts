import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createSerialQueue, type Job } from './serial-queue.ts';

const job = (group: string | undefined): Job => ({ group, size: 1, fail: () => {} });

/** Runs a queue whose every work ends at once. @returns how many jobs were done together each time */
function run() {
  const queue = createSerialQueue();
  const stop = new AbortController();
  const together: number[] = [];
  const running = queue.run(async jobs => void together.push(jobs.length), stop.signal);
  const end = async () => {
    stop.abort();
    await running;
  };
  return { queue, together, end };
}

async function until(isSo: () => boolean) {
  while (!isSo()) await nextTurn();
}

test('a burst that comes in over several turns is done together', async () => {
  const { queue, together, end } = run();
  for (let n = 0; n < 20; n += 1) {
    queue.push(job('edits'));
    await nextTurn();
  }
  const done = () => together.reduce((sum, count) => sum + count, 0);
  await until(() => done() === 20);
  await end();
  // All at once, unless this process had to wait for a processor longer than a part is gathered.
  expect(together[0], String(together)).toBeGreaterThan(1);
});

test.each([
  ['many at a time', 0, 512],
  ['one by one', 0.2, 511],
])('what comes without a pause, %s, does not keep the first ones waiting', async (_, pauseMs, atMost) => {
  const { queue, together, end } = run();
  let pushed = 0;
  await until(() => {
    queue.push(job('edits'));
    pushed += 1;
    const next = performance.now() + pauseMs;
    while (performance.now() < next);
    return together.length > 0 || pushed > 2000;
  });
  await end();
  expect(pushed, 'done while more came').toBeLessThanOrEqual(2000);
  expect(together[0]).toBeLessThanOrEqual(atMost);
});

test('what goes alone waits for nothing, and keeps its place', async () => {
  const { queue, together, end } = run();
  for (const group of [undefined, 'edits', 'edits', undefined]) queue.push(job(group));
  await until(() => together.length === 3);
  await end();
  expect(together).toEqual([1, 2, 1]);
});
