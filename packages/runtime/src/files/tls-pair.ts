import { createSecureContext } from 'node:tls';
import { readRegularFile } from '../regular-file.ts';
import { errorMessage } from '../unknown-values.ts';
import { UnusableError } from '../unusable.ts';
import { readSecretFile } from './secret.ts';

/** A certificate chain and its key, in PEM. */
export interface TlsPair {
  cert: string;
  key: string;
}

/**
 * Reads a certificate chain and its key, and checks that they match.
 *
 * @throws UnusableError naming the files, also when group or world can read the key
 */
export async function readTlsPair(paths: { cert: string; key: string }): Promise<TlsPair> {
  const pair = { cert: await readCertificate(paths.cert), key: await readSecretFile(paths.key) };
  try {
    createSecureContext(pair);
  } catch (error) {
    throw new UnusableError(`${paths.cert} and ${paths.key} do not belong together: ${errorMessage(error)}`, {
      cause: error,
    });
  }
  return pair;
}

async function readCertificate(path: string): Promise<string> {
  try {
    return await readRegularFile(path);
  } catch (error) {
    if (error instanceof UnusableError) throw error;
    throw new UnusableError(`${path} cannot be read: ${errorMessage(error)}`, { cause: error });
  }
}
