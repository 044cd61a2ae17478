import { setTimeout as delay } from 'node:timers/promises';

/**
 * Waits for `ms`, or until the signal aborts if that comes first. An abort ends the wait without an error, so a loop can
 * wait and then look at its signal.
 *
 * @param ms how long, in ms
 * @returns a promise that never rejects
 */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal === undefined) return delay(ms);
  await delay(ms, undefined, { signal }).catch(() => {});
}

/** Resolves once the signal aborts, at once if it has aborted already. Never rejects. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
}
