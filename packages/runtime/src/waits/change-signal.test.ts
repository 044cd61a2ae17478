import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { createChangeSignal } from './change-signal.ts';

const hourMs = 3_600_000;
const never = new AbortController().signal;

it('ends a wait when it is announced, or was since the count was taken', async () => {
  const changes = createChangeSignal();
  const seen = changes.count();
  const waiting = changes.later(seen, hourMs, never);
  changes.announce();
  await waiting;
  await changes.later(seen, hourMs, never);
});

it('ends a wait when its time is over or the signal aborts, and forgets it', async () => {
  const changes = createChangeSignal();
  const stop = new AbortController();
  await changes.later(changes.count(), 1, stop.signal);
  expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
  const waiting = changes.later(changes.count(), hourMs, stop.signal);
  expect(getEventListeners(stop.signal, 'abort')).toHaveLength(1);
  stop.abort();
  await waiting;
  expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
  await changes.later(changes.count(), hourMs, stop.signal);
});

it('a wait that begins while others are woken waits for the next time', async () => {
  const changes = createChangeSignal();
  let woken = 0;
  const again = async () => {
    await changes.later(changes.count(), hourMs, never);
    woken += 1;
    void again();
  };
  void again();
  changes.announce();
  await Promise.resolve();
  expect(woken).toBe(1);
});
