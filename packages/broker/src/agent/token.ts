import { createPrivateKey, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { access, rm } from 'node:fs/promises';
import { readSecretFile, writeFileAtomically } from '@coold/runtime';
import { SignJWT } from 'jose';

/** Creates a P-256 key pair as PEM texts. */
export function generateKeys(): { privateKey: string; publicKey: string } {
  return generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
}

export interface TokenClaims {
  hostId: string;
  caps: readonly string[];
  ttlMs: number;
}

/**
 * Signs a host token (docs/contract.md §1) with the algorithm that fits the key. Each token has an id, by which it can
 * be revoked.
 *
 * @throws Error when no algorithm fits
 */
export function mintToken(
  privatePem: string,
  { hostId, caps, ttlMs }: TokenClaims,
  now = Date.now(),
): Promise<string> {
  const key = createPrivateKey(privatePem);
  const issued = Math.floor(now / 1000);
  return new SignJWT({ caps: [...caps] })
    .setProtectedHeader({ alg: algorithmOf(key), typ: 'JWT' })
    .setJti(randomUUID())
    .setSubject(hostId)
    .setAudience('coold')
    .setIssuedAt(issued)
    .setExpirationTime(issued + Math.floor(ttlMs / 1000))
    .sign(key);
}

/** Writes a key pair to two new files, or writes neither. @throws Error naming the file that cannot be written */
export async function writeKeys(paths: { private: string; public: string }): Promise<void> {
  for (const path of [paths.private, paths.public]) {
    const exists = await access(path).then(
      () => true,
      () => false,
    );
    if (exists) throw new Error(`${path} exists: a key is never overwritten`);
  }
  const { privateKey, publicKey } = generateKeys();
  await writeFileAtomically(paths.private, privateKey, 0o600);
  try {
    await writeFileAtomically(paths.public, publicKey, 0o644);
  } catch (error) {
    await rm(paths.private, { force: true });
    throw error;
  }
}

/** Reads a private key that only its owner can read, and signs a token with it. */
export async function mintTokenFromFile(path: string, claims: TokenClaims): Promise<string> {
  return mintToken(await readSecretFile(path), claims);
}

function algorithmOf(key: KeyObject): string {
  if (key.asymmetricKeyType === 'rsa') return 'RS256';
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (curve === 'prime256v1') return 'ES256';
  if (curve === 'secp384r1') return 'ES384';
  throw new Error(`no token algorithm fits a key of type ${key.asymmetricKeyType} ${curve ?? ''}`);
}
