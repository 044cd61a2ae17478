import { statfs } from 'node:fs/promises';
import { pause } from '@coold/runtime/pause';
import type { DiskAmount } from './disk-usage.ts';

export interface DiskWatch {
  limit: DiskAmount;
  /** The file systems that the build writes to, each named by a folder on it. */
  folders: readonly string[];
  /** Measures what the build uses now. Returns undefined when counting takes too long. After an error the next round measures again. */
  measure(signal: AbortSignal): Promise<DiskAmount | undefined>;
  /** Ends the watch. */
  signal: AbortSignal;
  /** Returns what is free on a file system. Default: statfs. Tests replace it. */
  freeOn?(folder: string): Promise<DiskAmount>;
  times?: Partial<WatchTimes>;
}

/** How a build exceeded its limit: the kind and the amount, or `time` when its files could not be counted in time. */
export type Excess = { of: keyof DiskAmount; used: number } | { of: 'time' };

/** Intervals, in ms. */
interface WatchTimes {
  /** Between two checks of the free space, which are cheap. */
  look: number;
  /** The longest time without a measurement. Others may free as much as the build takes, so that the free space does not change. */
  atLeast: number;
}

const defaultTimes: WatchTimes = { look: 200, atLeast: 15_000 };
/**
 * The largest share of the time that measuring may take, since walking many files is expensive. It does not apply when the
 * free space fell by as much as the whole limit.
 */
const share = 1 / 4;
const kinds = ['bytes', 'inodes'] as const;

/**
 * Watches what a build uses of the disk. Walking its folders is expensive. So it is done at long intervals, and when the free
 * space fell so far that the build may have used half of what it has left.
 *
 * @returns how the build exceeded its limit, or undefined when the signal ended the watch
 */
export async function watchDisk(watch: DiskWatch): Promise<Excess | undefined> {
  const { limit, folders, measure, signal, freeOn = freeOnDisk } = watch;
  if (kinds.every(kind => limit[kind] === Number.POSITIVE_INFINITY)) return undefined;
  const { look, atLeast } = { ...defaultTimes, ...watch.times };
  const readFree = () =>
    Promise.all(folders.map(folder => freeOn(folder).catch(() => ({ bytes: 0, inodes: 0 }))));
  let used: DiskAmount = { bytes: 0, inodes: 0 };
  let free = await readFree();
  let measuredAt = performance.now();
  let pauseMs = 0;
  while (!signal.aborted) {
    await pause(look, signal);
    const now = await readFree();
    const taken = (kind: keyof DiskAmount) =>
      now.reduce((sum, each, at) => sum + Math.max(0, (free[at]?.[kind] ?? 0) - each[kind]), 0);
    const since = performance.now() - measuredAt;
    const mayBeOver = kinds.some(kind => taken(kind) >= (limit[kind] - used[kind]) / 2);
    // Many small files make measurements slow and the pauses after them long: long enough to fill a disk without this check.
    const mayBeAllOfIt = kinds.some(kind => taken(kind) >= limit[kind]);
    if (signal.aborted || (!mayBeAllOfIt && since < pauseMs) || (!mayBeOver && since < atLeast)) continue;
    const begun = performance.now();
    const measured = await measure(signal).catch(() => 'not now' as const);
    if (signal.aborted) return undefined;
    if (measured === undefined) return { of: 'time' };
    if (measured === 'not now') continue;
    const over = kinds.find(kind => measured[kind] > limit[kind]);
    if (over !== undefined) return { of: over, used: measured[over] };
    used = measured;
    free = now;
    measuredAt = performance.now();
    pauseMs = (measuredAt - begun) * (1 / share - 1);
  }
  return undefined;
}

/** A file system that allocates inodes on demand reports 0 free ones. */
async function freeOnDisk(folder: string): Promise<DiskAmount> {
  const { bfree, bsize, ffree } = await statfs(folder);
  return { bytes: bfree * bsize, inodes: ffree };
}
