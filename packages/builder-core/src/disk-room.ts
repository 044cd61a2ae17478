import { statfs } from 'node:fs/promises';

const leastBytes = 1 << 20;

/** Whether there is practically no room left where a folder lies: programs do not always say why they cannot write. */
export async function isDiskFull(folder: string): Promise<boolean> {
  const { bavail, bsize, files, ffree } = await statfs(folder);
  return bavail * bsize < leastBytes || (files > 0 && ffree === 0);
}
