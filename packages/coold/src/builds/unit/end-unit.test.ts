import { expect, it } from 'vitest';
import { silent as log } from '../../../test/caller.ts';
import { endingState, endUnit } from './end-unit.ts';

it.each([
  [0, false, 'unsignalled'],
  [0, true, 'terminating'],
  [1000, true, 'terminating'],
  [1001, true, 'killing'],
  [1001, false, 'killing'],
  [6000, true, 'killing'],
  [6001, true, 'given up'],
  [6001, false, 'given up'],
] as const)('after %i ms of a grace of 1000, signalled: %s, a unit is %s', (elapsed, isSignalled, state) => {
  expect(endingState(elapsed, 1000, isSignalled)).toBe(state);
});

it('sends SIGTERM once, then SIGKILL until it gives up', async () => {
  const sent: string[] = [];
  const kill = async (_: string, signal: string) => sent.push(signal) > 0;
  await endUnit('b', new Promise(() => {}), new AbortController().signal, {
    systemd: { kill },
    graceMs: 20,
    log,
  });
  expect(sent[0]).toBe('SIGTERM');
  expect(sent.length).toBeGreaterThan(1);
  expect(new Set(sent.slice(1))).toEqual(new Set(['SIGKILL']));
});

it('tries again while the unit does not exist yet, and stops once the build has ended', async () => {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  let tries = 0;
  const kill = async () => {
    tries += 1;
    if (tries === 3) end();
    return false;
  };
  await endUnit('b', ended, new AbortController().signal, { systemd: { kill }, graceMs: 60_000, log });
  expect(tries).toBe(3);
});
