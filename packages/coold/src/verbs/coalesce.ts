import { VerbError } from '@coold/errors';
import { orAborted } from '@coold/runtime';

/**
 * Runs work in progress only once: a call for the same key joins it and gets its result (docs/contract.md §2: repeating
 * a pull, stop or delete joins the one in progress). The work continues when its callers have left, so it needs a
 * timeout of its own.
 */
export interface Coalescer {
  /**
   * @param options.maxUnattended how many works of one verb may continue without a caller before new ones are refused
   *
   * @throws VerbError 503 when the signal aborts first, while the work continues; or when too many continue already
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

/** Keys identify the result, verb first: all calls for one key have the same type. */
export function createCoalescer(): Coalescer {
  const underWay = new Map<string, Work>();
  // The work outlives its callers, so no caller's signal may end it.
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
        throw new VerbError('host_busy', `${maxUnattended} of these go on already after their callers left`);
      const running = known ?? begin(key, work);
      running.callers += 1;
      try {
        return await orAborted(running.outcome as Promise<T>, signal, nobodyWaits);
      } finally {
        running.callers -= 1;
      }
    },
  };
}

function verbOf(key: string): string {
  return key.split(' ', 1)[0] ?? key;
}

function nobodyWaits(): VerbError {
  return new VerbError('host_stopping', 'every caller has left; the work goes on');
}
