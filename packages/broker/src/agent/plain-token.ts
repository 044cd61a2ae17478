import { isAscii } from 'node:buffer';
import { verify } from 'node:crypto';
import type { TokenKey } from './token-keys.ts';

/** What jose would return for a token that it accepts. */
export interface PlainToken {
  payload: {
    sub: string;
    exp: number;
    caps?: unknown;
    jti?: unknown;
    iat?: number | undefined;
    nbf?: number | undefined;
  };
  keyId: string;
}

/**
 * Verifies a token of the usual form: ES256, a header with only `alg`, `typ` and `kid`, the audience coold. Returns
 * undefined for any other token and for an invalid one: jose judges it then and says what is wrong. So this accepts
 * nothing that jose would not. A fleet that reconnects brings thousands of tokens at once; jose verifies each on
 * another thread, and the way there and back costs more than the signature.
 */
export function readPlainToken(token: string, keys: readonly TokenKey[]): PlainToken | undefined {
  const [head, body, signature, ...more] = token.split('.');
  if (head === undefined || body === undefined || signature === undefined || more.length > 0)
    return undefined;
  const signed = decode(signature);
  if (signed?.length !== es256Bytes) return undefined;
  const header = readObject(head);
  if (header?.['alg'] !== 'ES256' || Object.keys(header).some(name => !headerNames.has(name)))
    return undefined;
  const key = keyOf(header['kid'], keys);
  const payload = readObject(body);
  if (key === undefined || payload === undefined || !isPlainPayload(payload)) return undefined;
  const input = Buffer.from(token.slice(0, head.length + 1 + body.length), 'latin1');
  return verify('sha256', input, { key: key.key, dsaEncoding: 'ieee-p1363' }, signed)
    ? { payload, keyId: key.thumbprint }
    : undefined;
}

/** The length of an ES256 signature. */
const es256Bytes = 64;
const headerNames: ReadonlySet<string> = new Set(['alg', 'typ', 'kid']);

/** Returns the key that the token names, or the only key. */
function keyOf(kid: unknown, keys: readonly TokenKey[]): TokenKey | undefined {
  const named = typeof kid === 'string' ? keys.filter(({ names }) => names.includes(kid)) : [];
  const [key, ...others] = named.length === 0 ? keys : named;
  return others.length === 0 && key?.algorithms.includes('ES256') === true ? key : undefined;
}

function isPlainPayload(payload: Record<string, unknown>): payload is PlainToken['payload'] {
  const { aud, sub, exp, iat, nbf } = payload;
  return (
    aud === 'coold' &&
    typeof sub === 'string' &&
    typeof exp === 'number' &&
    (iat === undefined || typeof iat === 'number') &&
    (nbf === undefined || typeof nbf === 'number')
  );
}

/**
 * Parses the object in a part of the token. Returns undefined when there is none, or when its base64url is not
 * canonical.
 */
function readObject(part: string): Record<string, unknown> | undefined {
  const bytes = decode(part);
  if (bytes === undefined || !isAscii(bytes)) return undefined;
  try {
    const value: unknown = JSON.parse(bytes.toString('latin1'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function decode(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, 'base64url');
  return bytes.toString('base64url') === part ? bytes : undefined;
}
