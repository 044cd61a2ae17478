import { readdir, readFile, stat, statfs } from 'node:fs/promises';
import type { DiskAmount } from './disk-usage.ts';

/** The types of file systems that are memory (statfs(2)): tmpfs, which memfd uses, and hugetlbfs. */
const inMemory = new Set([0x01021994, 0x958458f6]);

/**
 * Measures deleted files that programs still have open or mapped. They take up disk space, but no walk through folders finds
 * them.
 *
 * @param pids the processes. One that has ended counts as having no files
 * @returns undefined when counting takes longer than `timeoutMs`
 */
export async function deletedFiles(
  pids: readonly string[],
  { signal, timeoutMs }: { signal: AbortSignal; timeoutMs: number },
): Promise<DiskAmount | undefined> {
  const counted = new Set<string>();
  const end = performance.now() + timeoutMs;
  let bytes = 0;
  const count = async (path: string) => {
    const file = await stat(path).catch(() => undefined);
    if (file === undefined || !file.isFile() || file.nlink > 0) return;
    const key = `${file.dev}:${file.ino}`;
    if (counted.has(key) || inMemory.has((await statfs(path).catch(() => undefined))?.type ?? 0)) return;
    counted.add(key);
    bytes += file.blocks * 512;
  };
  for (const pid of pids) {
    const open = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const path of [...open.map(fd => `/proc/${pid}/fd/${fd}`), ...(await mappedBy(pid))]) {
      if (signal.aborted || performance.now() > end) return undefined;
      await count(path);
    }
  }
  return { bytes, inodes: counted.size };
}

/** Returns the map_files paths of the deleted files that a process has mapped. Their names have no leading zeros. */
async function mappedBy(pid: string): Promise<string[]> {
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8').catch(() => '');
  return maps.split('\n').flatMap(line => {
    const [, from, to] = /^0*([0-9a-f]+)-0*([0-9a-f]+) .* \(deleted\)$/.exec(line) ?? [];
    return from === undefined ? [] : [`/proc/${pid}/map_files/${from}-${to}`];
  });
}
