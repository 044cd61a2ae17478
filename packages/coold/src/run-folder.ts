import { chmod, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Creates the folder of a file in /run where it is missing: the unit of `coolify init` creates none for coold, and a
 * broker's unit may remove it when it stops. The parent folder has to exist.
 *
 * @throws Error when it cannot be created
 */
export async function makeRunFolder(path: string): Promise<void> {
  const folder = dirname(path);
  try {
    await mkdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
    throw error;
  }
  // Same mode as our own unit sets; the umask could remove bits.
  await chmod(folder, 0o755);
}
