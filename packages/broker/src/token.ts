import { createPrivateKey, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { access, rm } from 'node:fs/promises';
import {
  absolutePath,
  defineCommand,
  duration,
  list,
  readSecretFile,
  type ValueType,
  writeFileAtomically,
} from '@coold/runtime';
import { SignJWT } from 'jose';
import { hostId } from './host-id.ts';

/** A name in the claim `caps`. */
const capability: ValueType<string> = {
  expected: 'a name such as coold or builder',
  parse: value => (/^[a-z][a-z0-9_-]{0,31}$/.test(value) ? value : undefined),
};

/** `broker keygen`: the pair that Laravel signs with and the broker verifies with. */
export const keygenCommand = defineCommand({
  name: 'broker keygen',
  summary: 'makes an EC P-256 key pair for host tokens',
  options: {
    private: { type: absolutePath, required: true, help: 'Where the private key goes (mode 0600)' },
    public: { type: absolutePath, required: true, help: 'Where the public key goes (mode 0644)' },
  },
  check: paths =>
    paths.private === paths.public ? '--public is the file of --private: expected another' : undefined,
});

/** `broker token`: what Laravel would hand a host at enrollment. */
export const tokenCommand = defineCommand({
  name: 'broker token',
  summary: 'mints a host token and prints it',
  options: {
    key: { type: absolutePath, required: true, help: 'PEM private key (EC P-256, P-384 or RSA)' },
    hostId: { type: hostId, required: true, help: 'The host the token is for: claim sub' },
    caps: {
      type: list(capability),
      default: 'coold',
      help: 'What it grants: claim caps, for example coold,builder',
    },
    ttl: { type: duration, default: '365d', help: 'How long it is good for: claim exp' },
  },
  check: ({ caps, ttl }) => {
    // What the broker would not take is not minted.
    if (!caps.includes('coold')) return '--caps does not name coold: expected it among them';
    if (ttl < 1000) return '--ttl is under a second: expected more';
    return undefined;
  },
});

/** A fresh P-256 pair as PEM texts. */
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
 * Signs a host token (docs/contract.md §1) with the algorithm that fits the key. Each has a name of its own, by which
 * it can be revoked. @throws Error when none does */
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

/** Writes a pair to two files that are not there yet, or neither. @throws Error naming the one that cannot be */
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

/** Reads a private key that only its owner can read and mints with it. */
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
