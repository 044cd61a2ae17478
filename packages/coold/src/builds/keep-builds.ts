import { setTimeout as delay } from 'node:timers/promises';
import { createBackoff, type Logger, type Task } from '@coold/runtime';
import type { Builds } from './builds.ts';

const sweepEveryMs = 300_000;

/**
 * Takes over what an earlier coold has left, again until the disk lets it; then sweeps from time to time.
 *
 * @param onTried called once the first attempt is over, well or not: what waits for it need not wait for a broken disk
 */
export function keepBuilds(builds: Pick<Builds, 'adopt' | 'sweep'>, log: Logger, onTried: () => void): Task {
  return async stop => {
    const backoff = createBackoff({ firstMs: 1000, maxMs: 60_000 });
    const wait = (ms: number) => delay(ms, undefined, { signal: stop }).catch(() => {});
    for (let adopted = false; !adopted && !stop.aborted; ) {
      adopted = await builds.adopt().then(
        () => true,
        (error: unknown) => {
          log.error(
            { err: error },
            'the work folders of builds cannot be read; trying again, no build is taken until then',
          );
          return false;
        },
      );
      onTried();
      if (!adopted) await wait(backoff.next());
    }
    while (!stop.aborted) {
      await wait(sweepEveryMs);
      if (!stop.aborted) await builds.sweep();
    }
  };
}
