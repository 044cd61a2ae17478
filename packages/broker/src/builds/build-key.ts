import { randomBytes } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import type { Logger } from '@coold/runtime';

const keyBytes = 32;

/** The secret that signs the nonces of builds (builds.proto). */
export interface BuildKey {
  key: Uint8Array;
  /** False: it was created just now, so no nonce was signed with it yet. */
  isKnown: boolean;
}

/**
 * Reads the key that an earlier broker on this machine left beside its socket, or creates one. Without it, a restarted
 * broker could not distinguish the host that was given a build from a host that only knows its id.
 *
 * @returns a key that lasts as long as this process when the file cannot be used; the log says why
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
