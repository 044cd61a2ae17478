import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { authorityLife, readRegularFile, readSecretFile, UnusableError } from '@coold/runtime';
import type { PeerSettings } from '../peer-options.ts';

/** PEM texts: this broker's certificate and key, and the CA of the others'. */
export interface Credentials {
  cert: string;
  key: string;
  ca: string;
}

/**
 * Reads the files and checks that they match, and that the certificate is valid for the address that others dial.
 *
 * @throws Error naming the variable and the file
 */
export async function readCredentials({
  tls,
  address,
}: Pick<PeerSettings, 'tls' | 'address'>): Promise<Credentials> {
  const cert = await named('TLS_CERT', tls.cert, path => readRegularFile(path));
  const key = await named('TLS_KEY', tls.key, readSecretFile);
  const ca = await named('TLS_CA', tls.ca, path => readRegularFile(path));
  await named('TLS_CA', tls.ca, async () => void authorityLife(ca)); // each of them, where there are several
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
    throw new UnusableError(`BROKER_ROUTES_${variable}=${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
