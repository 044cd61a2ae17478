import { createBackoff, type Logger, pause, type Task } from '@coold/runtime';
import type { Builds } from './builds.ts';

const sweepEveryMs = 300_000;

/**
 * Returns the task that adopts the builds of an earlier coold, trying again while the disk fails, and then sweeps old results
 * every five minutes.
 *
 * @param onTried called after each attempt to adopt, so that callers need not wait for a broken disk
 */
export function keepBuilds(builds: Pick<Builds, 'adopt' | 'sweep'>, log: Logger, onTried: () => void): Task {
  return async stop => {
    const backoff = createBackoff({ firstMs: 1000, maxMs: 60_000 });
    for (let adopted = false; !adopted && !stop.aborted; ) {
      adopted = await builds.adopt().then(
        () => true,
        (error: unknown) => {
          log.error(
            { err: error },
            'cannot read the work folders of builds; trying again, and refusing builds until then',
          );
          return false;
        },
      );
      onTried();
      if (!adopted) await pause(backoff.next(), stop);
    }
    while (!stop.aborted) {
      await pause(sweepEveryMs, stop);
      if (!stop.aborted) await builds.sweep();
    }
  };
}
