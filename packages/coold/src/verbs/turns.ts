import { VerbError } from '@coold/errors';

/** Runs a few expensive tasks at a time. The others wait in order. */
export interface Turns {
  /** @throws VerbError 503 when too many wait already, or when the signal aborts while this one waits */
  take<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

/** @param atOnce how many run at a time @param most how many may wait */
export function createTurns(atOnce: number, most: number): Turns {
  let free = atOnce;
  const waiting = new Set<() => void>();

  function turn(signal: AbortSignal): Promise<void> {
    if (free > 0) {
      free -= 1;
      return Promise.resolve();
    }
    if (waiting.size >= most) throw new VerbError('host_busy', `${most} of these wait already; ask again`);
    return new Promise((resolve, reject) => {
      const leave = () => {
        waiting.delete(begin);
        reject(new VerbError('host_stopping', 'the caller has left'));
      };
      const begin = () => {
        waiting.delete(begin);
        signal.removeEventListener('abort', leave);
        resolve();
      };
      waiting.add(begin);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  return {
    async take(signal, work) {
      signal.throwIfAborted();
      await turn(signal);
      try {
        return await work();
      } finally {
        const [next] = waiting;
        if (next === undefined) free += 1;
        else next();
      }
    },
  };
}
