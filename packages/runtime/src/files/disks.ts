import { stat, statfs } from 'node:fs/promises';

/** A file system, and what is on it of ours. */
export interface Disk<Use extends string = string> {
  uses: Use[];
  /** The first of its paths. */
  path: string;
  /** In bytes; free is what is left for those who are not root's reserve. */
  total: number;
  free: number;
  /** Files that it can hold and still has room for; 0 and 0 where it has no limit of them. */
  files: number;
  files_free: number;
}

/** Room for less than this is a problem, on a disk however large, in bytes. */
const smallBytes = 2 * 1024 ** 3;
const smallShare = 0.05;

/** The file systems of these paths, each once. What cannot be read, or is not there, is left out. Never rejects. */
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
      // Not made yet, or not for us to see.
    }
  }
  return [...disks.values()];
}

/** What is wrong with a disk; undefined: it has room. @param remedy what makes room. Pure. */
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
