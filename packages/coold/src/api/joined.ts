import { VerbError } from './verb-error.ts';

/**
 * Runs what is under way once: a call for the same key joins it and gets its outcome (CONTRACT §2: repeating a pull, stop or
 * delete joins the one under way). The work goes on when its callers have gone; it must have a timeout of its own.
 */
export interface Joined {
  /** @throws VerbError 503 when the signal aborts first; the work goes on */
  run<T>(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

/** Keys say what the work yields, verb first: calls for one key are of one type. */
export function createJoined(): Joined {
  const underWay = new Map<string, Promise<unknown>>();
  // The work outlives whoever asked for it, so no caller's signal may end it.
  const unattended = new AbortController().signal;
  return {
    run<T>(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>) {
      let running = underWay.get(key) as Promise<T> | undefined;
      if (running === undefined) {
        running = work(unattended).finally(() => underWay.delete(key));
        running.catch(() => {}); // its failure is its callers'; there may be none left
        underWay.set(key, running);
      }
      return whileWaiting(running, signal);
    },
  };
}

function whileWaiting<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const onAbort = () => reject(new VerbError(503, 'nobody waits any more; the work goes on'));
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  return promise;
}
