import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { readSecretFile } from './secret.ts';

/** A certificate chain and its key, in PEM. */
export interface TlsPair {
  cert: string;
  key: string;
}

/**
 * Reads a pair that fits together.
 *
 * @throws Error naming the files, also when group or world can read the key
 */
export async function readTlsPair(paths: { cert: string; key: string }): Promise<TlsPair> {
  const pair = { cert: await readFile(paths.cert, 'utf8'), key: await readSecretFile(paths.key) };
  try {
    createSecureContext(pair);
  } catch (error) {
    throw new Error(`${paths.cert} and ${paths.key} are no pair: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return pair;
}
