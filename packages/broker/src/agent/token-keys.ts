import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readRegularFile } from '@coold/runtime';

/** A public key that verifies host tokens (docs/contract.md §1). */
export interface TokenKey {
  key: KeyObject;
  /** The algorithms that it verifies. Any other is refused before signature work. */
  algorithms: readonly string[];
  /** RFC 7638: the SHA-256 of the key as a JWK. */
  thumbprint: string;
  /** The names by which a token's `kid` may refer to it. */
  names: readonly string[];
}

/** A token without a known `kid` is tried with each key of its algorithm, so the number of keys is limited. */
const maxKeys = 32;
const pemBlock = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]+?-----END \1-----/g;

/**
 * Reads one or several PEM keys of a file, or those of every file in a folder. In a folder a key can also be named by
 * its file's name without extension. Files whose names begin with a dot are skipped.
 *
 * @throws Error naming a file of the folder that has no usable key
 */
export async function readTokenKeys(path: string): Promise<readonly TokenKey[]> {
  const files = await filesOf(path);
  if (files === undefined) return atMost(parseTokenKeys(await readRegularFile(path)));
  const keys: TokenKey[] = [];
  for (const file of files) {
    try {
      const name = file.replace(/\.[^.]+$/, '');
      keys.push(...parseTokenKeys(await readRegularFile(join(path, file)), name));
    } catch (error) {
      throw new Error(`${file} ${(error as Error).message}`, { cause: error });
    }
  }
  if (keys.length === 0) throw new Error('is a folder without keys');
  return atMost(keys);
}

/** Returns the files that the keys at a path come from. In a folder they may come and go. */
export async function tokenKeyFiles(path: string): Promise<readonly string[]> {
  const files = await filesOf(path).catch(() => undefined);
  return [path, ...(files ?? []).map(file => join(path, file))];
}

/** @returns undefined when it is not a folder */
async function filesOf(path: string): Promise<string[] | undefined> {
  if (!(await stat(path)).isDirectory()) return undefined;
  const entries = await readdir(path, { withFileTypes: true });
  return entries
    .filter(entry => !entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort();
}

/**
 * Parses the keys of a PEM text. Pure.
 *
 * @param name another name for `kid`, besides the thumbprint
 * @throws Error when there is none, or one that is not usable
 */
export function parseTokenKeys(text: string, name?: string): TokenKey[] {
  if (text.includes('PRIVATE KEY')) throw new Error('holds a private key: expected public keys alone');
  const blocks = text.match(pemBlock);
  if (blocks === null) throw new Error('holds no public key in PEM');
  // Otherwise a key that was cut off in copying would only be missed by the hosts whose tokens it verifies.
  if (text.split('-----BEGIN').length - 1 !== blocks.length)
    throw new Error('holds a PEM block without its end');
  return blocks.map(block => {
    const key = readKey(block);
    const thumbprint = thumbprintOf(key);
    const names = name === undefined ? [thumbprint] : [thumbprint, name];
    return { key, algorithms: algorithmsFor(key), thumbprint, names };
  });
}

function readKey(block: string): KeyObject {
  try {
    return createPublicKey(block);
  } catch (error) {
    // OpenSSL's message describes its decoder and says nothing about the file.
    throw new Error('holds a PEM block that is not a public key', { cause: error });
  }
}

function atMost(keys: readonly TokenKey[]): readonly TokenKey[] {
  if (keys.length > maxKeys) throw new Error(`holds ${keys.length} keys: expected at most ${maxKeys}`);
  return keys;
}

function thumbprintOf(key: KeyObject): string {
  const { crv, e, kty, n, x, y } = key.export({ format: 'jwk' });
  // The members that RFC 7638 names, in its order. JSON omits those that the key does not have.
  return hash('sha256', JSON.stringify({ crv, e, kty, n, x, y }), 'base64url');
}

function algorithmsFor(key: KeyObject): string[] {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'ec' && details?.namedCurve === 'prime256v1') return ['ES256'];
  if (type === 'ec' && details?.namedCurve === 'secp384r1') return ['ES384'];
  if (type === 'rsa' && (details?.modulusLength ?? 0) >= 2048)
    return ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
  const curve = details?.namedCurve ?? details?.modulusLength ?? '';
  throw new Error(
    `is a key of type ${type} ${curve}: expected EC P-256 or P-384, or RSA of 2048 bits or more`,
  );
}
