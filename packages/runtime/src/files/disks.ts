import { stat, statfs } from 'node:fs/promises';

/** A file system, and which of the program's data is on it. */
export interface Disk<Use extends string = string> {
  uses: Use[];
  /** The first of its paths. */
  path: string;
  /** In bytes. `free` leaves out the reserve of root. */
  total: number;
  free: number;
  /** How many files it can hold, and how many more fit; 0 and 0 where it has no limit. */
  files: number;
  files_free: number;
}

/** Less free space than this is a problem, however large the disk is, in bytes. */
const smallBytes = 2 * 1024 ** 3;
const smallShare = 0.05;

/**
 * Returns the file systems of these paths, each once. Paths that do not exist or cannot be read are left out. Never
 * rejects.
 */
export async function readDisks<Use extends string>(
  paths: Iterable<readonly [use: Use, path: string]>,
): Promise<Disk<Use>[]> {
  const disks = new Map<number, Disk<Use>>();
  for (const [use, path] of paths) {
    try {
      const { dev } = await stat(path);
      const known = disks.get(dev);
      if (known !== undefined) {
        known.uses.push(use);
        continue;
      }
      const { bsize, blocks, bavail, files, ffree } = await statfs(path);
      disks.set(dev, {
        uses: [use],
        path,
        total: blocks * bsize,
        free: bavail * bsize,
        files,
        files_free: ffree,
      });
    } catch {
      // It does not exist yet, or may not be read.
    }
  }
  return [...disks.values()];
}

/** Returns what is wrong with a disk; undefined when it has room. Pure. @param remedy what makes room */
export function judgeDisk(
  { uses, path, total, free, files, files_free }: Disk,
  remedy: string,
): string | undefined {
  const what = `the disk of ${uses.join(' and ')} (${path})`;
  if (free < Math.min(total * smallShare, smallBytes))
    return `${what} is full: ${mebibytes(free)} of ${mebibytes(total)} are free; ${remedy}`;
  if (files > 0 && files_free < files * smallShare)
    return `${what} is full: it has room for ${files_free} files more, of ${files}; ${remedy}`;
  return undefined;
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / 1024 ** 2)} MiB`;
}
