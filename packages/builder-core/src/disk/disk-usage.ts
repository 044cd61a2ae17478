import { statfs } from 'node:fs/promises';
import { ChildError, runChild } from '@coold/runtime/child';

/** An amount of disk: what a build uses, or what it may use. Infinity means no limit. */
export interface DiskAmount {
  bytes: number;
  /** Files, folders and everything else with an inode. A file with several names counts once. */
  inodes: number;
}

/** The time for each of the two counts, in ms. A full quota of files takes far less, unless the disk hangs. */
const defaultTimeoutMs = 120_000;

/**
 * Measures what folders take up on the disk, without other file systems mounted in them. Symlinks are not followed. A folder
 * that does not exist counts as empty.
 *
 * @returns undefined when counting takes longer than `timeoutMs`
 * @throws ChildError when du does not start or the signal aborts
 */
export async function diskUsage(
  folders: readonly string[],
  { signal, timeoutMs = defaultTimeoutMs }: { signal: AbortSignal; timeoutMs?: number },
): Promise<DiskAmount | undefined> {
  const total = async (what: string) => {
    const args = ['--summarize', '--one-file-system', what, '--total', '--', ...folders];
    // du exits with 1 when a file disappears while it counts. Its total is still valid.
    const { stdout } = await runChild('du', args, {
      timeoutMs,
      signal,
      env: { ...process.env, LC_ALL: 'C' },
    });
    return Number(/^(\d+)\ttotal$/m.exec(stdout)?.[1] ?? 0);
  };
  try {
    return { bytes: await total('--block-size=1'), inodes: await total('--inodes') };
  } catch (error) {
    if (error instanceof ChildError && error.reason === 'timeout') return undefined;
    throw error;
  }
}

/** A file system with less free space than this counts as full, in bytes. */
const leastBytes = 1 << 20;

/** Whether the file system of a folder is practically full. Programs do not always say why they cannot write. @throws Error when statfs fails */
export async function isDiskFull(folder: string): Promise<boolean> {
  const { bavail, bsize, files, ffree } = await statfs(folder);
  return bavail * bsize < leastBytes || (files > 0 && ffree === 0);
}
