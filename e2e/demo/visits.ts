import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { LabHost } from '../harness/lab/host.ts';

/** The outcome of a request: the page of a version, or a failure. */
export type Outcome = 'v1' | 'v2' | 'failed';

export type Counts = Record<Outcome, number>;

/** A container that requests a page by name without pause. */
export interface Visits extends AsyncDisposable {
  /** Counts since the start. */
  counts(): Counts;
  /**
   * Resolves once `times` requests in a row had this outcome.
   *
   * @throws Error when that takes longer than a minute, or when the visitor has ended
   */
  untilInARow(outcome: Outcome, times: number): Promise<void>;
}

const patienceMs = 60_000;

/** Returns the difference between two counts. Pure. */
export function between(before: Counts, after: Counts): Counts {
  return { v1: after.v1 - before.v1, v2: after.v2 - before.v2, failed: after.failed - before.failed };
}

export function requestsOf({ v1, v2, failed }: Counts): number {
  return v1 + v2 + failed;
}

/**
 * Starts the visitor. A request without an answer within 3 s has failed.
 *
 * @param pages the line that each version's page prints
 */
export function startVisits(
  host: LabHost,
  container: string,
  url: string,
  pages: Readonly<Record<'v1' | 'v2', string>>,
): Visits {
  const ask = `while :; do timeout 3 wget -qO- "$1" 2>/dev/null || echo FAILED; usleep 50000; done`;
  // The requests do not pass through a broker, so they go on when one fails.
  const [program = '', ...argv] = host.enter();
  const inContainer = ['podman', 'exec', container, 'sh', '-c', ask, 'sh', url];
  const child = spawn(program, [...argv, ...inContainer], { stdio: ['ignore', 'pipe', 'ignore'] });
  const counts: Counts = { v1: 0, v2: 0, failed: 0 };
  const watchers = new Set<(outcome: Outcome) => void>();
  createInterface({ input: child.stdout }).on('line', line => {
    const outcome = line === pages.v1 ? 'v1' : line === pages.v2 ? 'v2' : 'failed';
    counts[outcome] += 1;
    for (const watch of watchers) watch(outcome);
  });
  const ended = once(child, 'exit');
  ended.catch(() => {});
  return {
    counts: () => ({ ...counts }),
    async untilInARow(outcome, times) {
      let row = 0;
      const reached = Promise.withResolvers<void>();
      const watch = (seen: Outcome) => {
        row = seen === outcome ? row + 1 : 0;
        if (row >= times) reached.resolve();
      };
      const give = (why: string) =>
        reached.reject(new Error(`waited for ${times} requests in a row to be ${outcome}: ${why}`));
      watchers.add(watch);
      const timer = setTimeout(give, patienceMs, `not within ${patienceMs} ms`);
      const gone = () => give('the visitor has ended');
      child.once('exit', gone);
      if (child.exitCode !== null) gone();
      try {
        await reached.promise;
      } finally {
        clearTimeout(timer);
        watchers.delete(watch);
        child.off('exit', gone);
      }
    },
    async [Symbol.asyncDispose]() {
      // A process started by nsenter keeps the pipe open until its host is gone, so the code does not wait for the pipe
      // to end.
      child.kill('SIGKILL');
      child.stdout.destroy();
      await ended.catch(() => {});
    },
  };
}
