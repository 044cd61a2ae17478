import { createHash, timingSafeEqual } from 'node:crypto';
import { readSecretFile, SecretError } from '@coold/runtime';

/** Authenticates callers by the token (docs/contract.md §3). */
export interface Bearer {
  /** Judges an `Authorization` header, in the same time whatever is wrong with it. */
  accepts(header: string | undefined): boolean;
  /** Replaces the token. */
  use(token: string): void;
}

export function createBearer(token: string): Bearer {
  let expected = digest(token);
  return {
    accepts(header) {
      const given = /^Bearer +([\x21-\x7e]+)$/i.exec(header ?? '')?.[1];
      // Digests have one length, so that not even the token's length can be measured.
      const same = timingSafeEqual(digest(given ?? ''), expected);
      return given !== undefined && same;
    },
    use(next) {
      expected = digest(next);
    },
  };
}

/** @throws SecretError when the file cannot be read, others can read it, or no header could carry its content */
export async function readApiToken(path: string): Promise<string> {
  const token = await readSecretFile(path);
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new SecretError(`${path} is not a token: expected one word of visible ASCII`);
  return token;
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
