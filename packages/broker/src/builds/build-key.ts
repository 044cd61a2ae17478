import { randomBytes } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import type { Logger } from '@coold/runtime';

const keyBytes = 32;

/** The secret that nonces of builds are signed with (builds.proto). */
export interface BuildKey {
  key: Uint8Array;
  /** False: it was made just now, so that nothing is signed with it yet. */
  isKnown: boolean;
}

/**
 * Reads the key that an earlier broker on this machine has left beside its socket, or makes one. Without it a restarted
 * broker could not tell the host that a build was given to from one that has only heard of its id.
 *
 * @returns one that lives as long as this process where the file cannot be used; the log says why
 */
export async function loadBuildKey(path: string, log: Logger): Promise<BuildKey> {
  try {
    const known = await readFile(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (known?.length === keyBytes) return { key: known, isKnown: true };
    const key = randomBytes(keyBytes);
    const file = await open(path, 'w', 0o600);
    try {
      await file.chmod(0o600);
      await file.writeFile(key);
      await file.sync();
    } finally {
      await file.close();
    }
    return { key, isKnown: false };
  } catch (error) {
    log.warn({ err: error, path }, 'the key of builds cannot be kept; hosts are believed what they claim');
    return { key: randomBytes(keyBytes), isKnown: false };
  }
}
