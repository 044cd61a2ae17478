import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { orAborted } from './or-aborted.ts';

const never = new Promise<never>(() => {});

it('is what the work yields or throws, and listens no longer', async () => {
  const { signal } = new AbortController();
  await expect(orAborted(Promise.resolve(7), signal)).resolves.toBe(7);
  await expect(orAborted(Promise.reject(new Error('broke')), signal)).rejects.toThrow('broke');
  await Promise.resolve();
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

it('rejects with the reason of the signal or the given error, when it aborts before or during the work', async () => {
  const stop = new AbortController();
  const waits = [orAborted(never, stop.signal), orAborted(never, stop.signal, () => new Error('told'))];
  stop.abort(new Error('stopped'));
  await expect(waits[0]).rejects.toThrow('stopped');
  await expect(waits[1]).rejects.toThrow('told');
  await expect(orAborted(never, stop.signal)).rejects.toThrow('stopped');
});
