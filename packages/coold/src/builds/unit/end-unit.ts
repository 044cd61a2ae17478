import { type Logger, pause } from '@coold/runtime';
import type { Systemd } from './systemd.ts';

/** How far the end of a cancelled build's unit is. */
export type EndingState =
  /** The unit has not had a signal yet: it is just being started, or systemd does not answer. Tried again every 100 ms. */
  | 'unsignalled'
  /** Every process of the unit has had SIGTERM, and gets `graceMs` to stop. */
  | 'terminating'
  /** `graceMs` are over: the unit gets SIGKILL, again and again until it has ended. */
  | 'killing'
  /** Six times `graceMs` are over: nothing helps, and RuntimeMaxSec of the unit will end it. */
  | 'given up';

/**
 * Returns the state of an ending unit.
 *
 * @param elapsedMs since the cancel
 * @param isSignalled whether a signal has reached the unit
 */
export function endingState(elapsedMs: number, graceMs: number, isSignalled: boolean): EndingState {
  if (elapsedMs > 6 * graceMs) return 'given up';
  if (elapsedMs > graceMs) return 'killing';
  return isSignalled ? 'terminating' : 'unsignalled';
}

export interface EndOptions {
  systemd: Pick<Systemd, 'kill'>;
  /** What a build gets to stop in, in ms; it needs 2 s (docs/contract.md §7). */
  graceMs: number;
  log: Logger;
}

/**
 * Ends the unit of a cancelled build. Resolves when `ended` does, when `stop` aborts, or when nothing helps. Never rejects.
 *
 * @param ended resolves when the build has ended
 * @param stop aborts when coold stops; the next coold goes on
 */
export async function endUnit(
  requestId: string,
  ended: Promise<unknown>,
  stop: AbortSignal,
  { systemd, graceMs, log }: EndOptions,
): Promise<void> {
  const over = new AbortController();
  void ended.then(() => over.abort());
  const either = AbortSignal.any([over.signal, stop]);
  const begun = performance.now();
  const signalUnit = (signal: 'SIGTERM' | 'SIGKILL') =>
    systemd.kill(requestId, signal).catch((error: unknown) => {
      log.warn({ request_id: requestId, err: error, signal }, 'cannot signal a build; trying again');
      return false;
    });
  for (let isSignalled = false; !either.aborted; ) {
    switch (endingState(performance.now() - begun, graceMs, isSignalled)) {
      case 'given up':
        log.error({ request_id: requestId }, 'a cancelled build cannot be ended; its RuntimeMaxSec will');
        return;
      case 'killing':
        isSignalled = await signalUnit('SIGKILL');
        break;
      case 'unsignalled':
        isSignalled = await signalUnit('SIGTERM');
        break;
      case 'terminating':
        break;
    }
    await pause(isSignalled ? graceMs / 2 : 100, either);
  }
}
