import { readFile } from 'node:fs/promises';

/**
 * Reads a file of `/proc`. Returns an empty text when the file does not exist, for example because its module is not
 * loaded.
 *
 * @throws Error of the system when it exists and cannot be read
 */
export async function readKernelFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  }
}
