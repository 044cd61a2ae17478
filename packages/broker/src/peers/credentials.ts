import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { readSecretFile } from '@coold/runtime';
import type { PeerSettings } from './peer-options.ts';

/** PEM texts: what a broker shows the others, and what it believes them by. */
export interface Credentials {
  cert: string;
  key: string;
  ca: string;
}

/**
 * Reads the files and checks that they go together, and that the certificate is for the address that the others dial.
 *
 * @throws Error naming the variable and the file
 */
export async function readCredentials({
  tls,
  address,
}: Pick<PeerSettings, 'tls' | 'address'>): Promise<Credentials> {
  const cert = await named('TLS_CERT', tls.cert, path => readFile(path, 'utf8'));
  const key = await named('TLS_KEY', tls.key, readSecretFile);
  const ca = await named('TLS_CA', tls.ca, path => readFile(path, 'utf8'));
  await named('TLS_CA', tls.ca, async () => void new X509Certificate(ca));
  await named('TLS_CERT', tls.cert, async () => {
    createSecureContext({ cert, key }); // throws for texts that are no pair
    const leaf = new X509Certificate(cert);
    const names = isIP(address.host) === 0 ? leaf.checkHost(address.host) : leaf.checkIP(address.host);
    if (names === undefined)
      throw new Error(
        `is for ${leaf.subjectAltName ?? 'no name at all'}, not for ${address.host} of BROKER_ROUTES_ADDRESS`,
      );
  });
  return { cert, key, ca };
}

async function named<T>(variable: string, path: string, read: (path: string) => Promise<T>): Promise<T> {
  try {
    return await read(path);
  } catch (error) {
    throw new Error(`BROKER_ROUTES_${variable}=${path}: ${(error as Error).message}`, { cause: error });
  }
}
