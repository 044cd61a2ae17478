import { BuildFailure, type Stage } from './build-failure.ts';
import { showBytes } from './byte-size.ts';
import { diskUsage } from './disk-usage.ts';
import { watchDisk } from './disk-watch.ts';
import type { OwnStorage } from './own-storage.ts';
import type { Scratch } from './scratch.ts';
import type { Store } from './storage-records.ts';

/**
 * Waits until a build uses more of the disk than it may: its scratch folder, and what it has added to the storage of images.
 *
 * @param limit bytes
 * @param signal ends the watch
 * @returns the bytes used; undefined when the watch was ended before
 */
export function untilOverQuota(
  limit: number,
  {
    scratch,
    store,
    storage,
    signal,
  }: { scratch: Scratch; store: Store; storage: OwnStorage; signal: AbortSignal },
): Promise<number | undefined> {
  return watchDisk({
    ...{ limit, signal, folders: [scratch.folder, store.root] },
    measure: async end => diskUsage([scratch.folder, ...(await storage.folders())], end),
  });
}

/** Why a build ends that uses more of the disk than it may. */
export function overQuota(stage: Stage, used: number, limit: number): BuildFailure {
  return new BuildFailure(
    507,
    stage,
    `the build used ${showBytes(used)} of the disk, its work folder and what it added to the storage of images, and may use ${showBytes(limit)}: COOLD_BUILDER_DISK_MAX`,
  );
}
