import { statfs } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

export interface DiskWatch {
  /** Bytes. */
  limit: number;
  /** File systems that the build writes to, each by a folder on it. */
  folders: readonly string[];
  /** Bytes that the build uses now; what cannot be measured is measured again. */
  measure(signal: AbortSignal): Promise<number>;
  /** Ends the watch. */
  signal: AbortSignal;
  /** Bytes that are free on a file system; statfs unless a test says otherwise. */
  freeOn?(folder: string): Promise<number>;
  times?: Partial<WatchTimes>;
}

/** In ms. */
interface WatchTimes {
  /** Between looks at how much is free, which cost nothing. */
  look: number;
  /** A measurement is due after so long, also when nothing seems to be written: others may free what the build takes. */
  atLeast: number;
}

const defaultTimes: WatchTimes = { look: 200, atLeast: 15_000 };
/** Of the time, at most this share goes into measuring, since walking many files is work. */
const share = 1 / 4;

/**
 * Watches what a build uses of the disk. Walking its folders costs time, so it is done when so much less is free that the
 * build could have used up half of what it has left, and every now and then.
 *
 * @returns the bytes used once they are more than the limit; undefined when the watch was ended
 */
export async function watchDisk(watch: DiskWatch): Promise<number | undefined> {
  const { limit, folders, measure, signal, freeOn = freeBytes } = watch;
  if (limit === Number.POSITIVE_INFINITY) return undefined;
  const { look, atLeast } = { ...defaultTimes, ...watch.times };
  const readFree = () => Promise.all(folders.map(folder => freeOn(folder).catch(() => 0)));
  let used = 0;
  let free = await readFree();
  let measuredAt = performance.now();
  let pauseMs = 0;
  while (!signal.aborted) {
    await delay(look, undefined, { signal }).catch(() => {});
    const now = await readFree();
    const taken = now.reduce((sum, bytes, at) => sum + Math.max(0, (free[at] ?? 0) - bytes), 0);
    const since = performance.now() - measuredAt;
    if (signal.aborted || since < pauseMs || (taken < (limit - used) / 2 && since < atLeast)) continue;
    const begun = performance.now();
    const measured = await measure(signal).catch(() => undefined);
    if (measured === undefined) continue;
    used = measured;
    if (used > limit) return used;
    free = now;
    measuredAt = performance.now();
    pauseMs = (measuredAt - begun) * (1 / share - 1);
  }
  return undefined;
}

async function freeBytes(folder: string): Promise<number> {
  const { bfree, bsize } = await statfs(folder);
  return bfree * bsize;
}
