import { BuildFailure, type Stage } from '../build-failure.ts';
import type { Scratch } from '../scratch.ts';
import type { StorageAdditions } from '../storage/storage-additions.ts';
import type { Store } from '../storage/storage-records.ts';
import { descendantsOf } from '../tools/processes.ts';
import { showBytes } from './byte-size.ts';
import { deletedFiles } from './deleted-files.ts';
import { type DiskAmount, diskUsage } from './disk-usage.ts';
import { type Excess, watchDisk } from './disk-watch.ts';

/** The time for counting deleted files that are still open, in ms. */
const deletedFilesMs = 60_000;

/**
 * Waits until a build uses more of the disk than its limit. Counted are its scratch folder, its additions to the image
 * storage, and deleted files that its programs still have open.
 *
 * @param signal ends the wait
 * @returns what exceeds the limit, or undefined when the signal ended the wait
 */
export function untilOverQuota(
  limit: DiskAmount,
  {
    scratch,
    store,
    storage,
    signal,
  }: { scratch: Scratch; store: Store; storage: StorageAdditions; signal: AbortSignal },
): Promise<Excess | undefined> {
  return watchDisk({
    limit,
    signal,
    folders: [scratch.folder, store.root],
    async measure(end) {
      const named = await diskUsage([scratch.folder, ...(await storage.folders())], { signal: end });
      const pids = await descendantsOf(process.pid);
      const nameless = await deletedFiles(pids, { signal: end, timeoutMs: deletedFilesMs });
      if (named === undefined || nameless === undefined) return undefined;
      return { bytes: named.bytes + nameless.bytes, inodes: named.inodes + nameless.inodes };
    },
  });
}

/** Returns the error of a build that exceeded its disk limit: 507. */
export function overQuota(stage: Stage, excess: Excess, limit: DiskAmount): BuildFailure {
  return new BuildFailure(507, stage, describe(excess, limit));
}

const where = 'its work folder and what it added to the storage of images';

function describe(excess: Excess, limit: DiskAmount): string {
  switch (excess.of) {
    case 'bytes':
      return `the build used ${showBytes(excess.used)} of the disk, ${where}, and may use ${showBytes(limit.bytes)}: COOLD_BUILDER_DISK_MAX`;
    case 'inodes':
      return `the build had ${excess.used} files on the disk, ${where}, and may have ${limit.inodes}: COOLD_BUILDER_INODES_MAX`;
    case 'time':
      return `what the build has on the disk, ${where}, could not be counted in 2 minutes: it has too many files, or the disk does not keep up`;
  }
}
