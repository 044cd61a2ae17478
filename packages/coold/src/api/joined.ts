import { VerbError } from './verb-error.ts';

/**
 * Runs what is under way once: a call for the same key joins it and gets its outcome (docs/contract.md §2: repeating a
 * pull, stop or delete joins the one under way). The work goes on when its callers have gone; it must have a timeout of
 * its own.
 */
export interface Joined {
  /**
   * @param options.maxUnattended how many works of one verb may go on without a caller before no other is begun
   * @throws VerbError 503 when the signal aborts first, and the work goes on; or when too many go on already
   */
  run<T>(
    key: string,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
    options?: { maxUnattended: number },
  ): Promise<T>;
}

interface Work {
  outcome: Promise<unknown>;
  callers: number;
}

/** Keys say what the work yields, verb first: calls for one key are of one type. */
export function createJoined(): Joined {
  const underWay = new Map<string, Work>();
  // The work outlives whoever asked for it, so no caller's signal may end it.
  const unattended = new AbortController().signal;

  function begin<T>(key: string, work: (signal: AbortSignal) => Promise<T>): Work {
    const outcome = work(unattended).finally(() => underWay.delete(key));
    outcome.catch(() => {}); // its failure is its callers'; there may be none left
    const begun: Work = { outcome, callers: 0 };
    underWay.set(key, begun);
    return begun;
  }
  function left(verb: string): number {
    return [...underWay].filter(([key, { callers }]) => callers === 0 && verbOf(key) === verb).length;
  }

  return {
    async run<T>(
      key: string,
      signal: AbortSignal,
      work: (signal: AbortSignal) => Promise<T>,
      { maxUnattended }: { maxUnattended: number } = { maxUnattended: Number.POSITIVE_INFINITY },
    ) {
      const known = underWay.get(key);
      if (known === undefined && left(verbOf(key)) >= maxUnattended)
        throw new VerbError(503, `${maxUnattended} of these go on already after their callers left`);
      const running = known ?? begin(key, work);
      running.callers += 1;
      try {
        return await whileWaiting(running.outcome as Promise<T>, signal);
      } finally {
        running.callers -= 1;
      }
    },
  };
}

function verbOf(key: string): string {
  return key.split(' ', 1)[0] ?? key;
}

function whileWaiting<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const onAbort = () => reject(new VerbError(503, 'nobody waits any more; the work goes on'));
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  return promise;
}
