import { decodeProtectedHeader, errors, jwtVerify } from 'jose';
import { hostId } from '../hosts/host-id.ts';
import { readPlainToken } from './plain-token.ts';
import { rememberVerified } from './remember-verified.ts';
import { parseTokenKeys, type TokenKey } from './token-keys.ts';

/** The owner of a stream, according to its token. */
export interface Identity {
  hostId: string;
  caps: readonly string[];
  /** Claim `jti`: identifies this token. */
  tokenId: string | undefined;
  /** Claim `exp`, in ms since 1970. The token is accepted `leewayMs` longer. */
  expiresAt: number;
  /** Claim `iat`, in ms since 1970. */
  issuedAt?: number | undefined;
  /** The thumbprint of the key that verifies it. */
  keyId?: string | undefined;
}

/** Why a token was refused. A closed set, because metrics count by it. */
export type AuthReason =
  | 'missing'
  | 'bad token'
  | 'bad claims'
  | 'expired'
  | 'not yet valid'
  | 'revoked'
  | 'not granted';

/** A refused token: not authentic, or authentic and not entitled. */
export class AuthError extends Error {
  readonly kind: 'unauthenticated' | 'denied';
  readonly reason: AuthReason;
  constructor(kind: AuthError['kind'], reason: AuthReason, message: string) {
    super(message);
    this.name = 'AuthError';
    this.kind = kind;
    this.reason = reason;
  }
}

/** @throws AuthError */
export type Verifier = (authorization: string | undefined) => Promise<Identity>;

export interface VerifierOptions {
  /** Called each time, also for a token that was verified before. */
  isRevoked?: (identity: Identity) => boolean;
  now?: () => number;
}

const maxTokenLength = 16 * 1024;
/** Allows for differing clocks (docs/contract.md §1). */
export const leewayMs = 60_000;
/** The number of tokens whose good signature is remembered: hosts that reconnect bring the same tokens. */
const maxRemembered = 20_000;

/**
 * Creates a verifier for the tokens of docs/contract.md §1 from public keys or their PEM text. The keys decide which
 * algorithms are accepted; any other is refused before signature work. The verifier remembers verified tokens, so other
 * keys need a new one.
 *
 * @throws Error when a key in the text is not usable
 */
export function createVerifier(given: string | readonly TokenKey[], options: VerifierOptions = {}): Verifier {
  const { isRevoked = () => false, now = Date.now } = options;
  const keys = typeof given === 'string' ? parseTokenKeys(given) : given;
  const verify = rememberVerified(token => readToken(token, keys), maxRemembered);
  return async authorization => {
    const token = /^Bearer ([^\s]+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined)
      throw new AuthError('unauthenticated', 'missing', 'expected authorization: Bearer <JWT>');
    if (token.length > maxTokenLength)
      throw new AuthError('unauthenticated', 'bad token', 'token is too long');
    const { identity, notBefore } = await verify(token);
    // Checked each time, even when the signature is remembered.
    if (identity.expiresAt + leewayMs <= now())
      throw new AuthError(
        'unauthenticated',
        'expired',
        `token refused: it has expired ${atOnClock(identity.expiresAt, now())}`,
      );
    if (notBefore - leewayMs > now())
      throw new AuthError(
        'unauthenticated',
        'not yet valid',
        `token refused: not yet valid ${atOnClock(notBefore, now())}`,
      );
    if (isRevoked(identity))
      throw new AuthError('unauthenticated', 'revoked', 'token refused: it is revoked');
    return identity;
  };
}

/** The claims of a token with a valid signature. */
interface SignedClaims {
  identity: Identity;
  /** Claim `nbf`, in ms since 1970. */
  notBefore: number;
}

/** @throws AuthError for any fault except its times, which are not checked here, because the result is remembered */
async function readToken(token: string, keys: readonly TokenKey[]): Promise<SignedClaims> {
  const { payload, keyId } = await verifySignature(token, keys);
  const { sub, caps, jti, exp, nbf, iat } = payload;
  if (typeof sub !== 'string' || hostId.parse(sub) === undefined)
    throw new AuthError('unauthenticated', 'bad claims', 'token claim sub is not a host id');
  if (exp === undefined || !Number.isFinite(exp))
    throw new AuthError('unauthenticated', 'bad claims', 'token claim exp is missing');
  if (!Array.isArray(caps) || !caps.every(cap => typeof cap === 'string'))
    throw new AuthError('denied', 'bad claims', 'token claim caps is not a list of names');
  if (!caps.includes('coold'))
    throw new AuthError('denied', 'not granted', 'token claim caps does not grant "coold"');
  const tokenId = typeof jti === 'string' ? jti : undefined;
  const issuedAt = iat === undefined ? undefined : iat * 1000;
  return {
    identity: { hostId: sub, caps, tokenId, expiresAt: exp * 1000, issuedAt, keyId },
    notBefore: (nbf ?? 0) * 1000,
  };
}

async function verifySignature(token: string, keys: readonly TokenKey[]) {
  const plain = readPlainToken(token, keys);
  if (plain !== undefined) return plain;
  const { candidates, kid } = candidatesFor(token, keys);
  let failure: AuthError | undefined;
  for (const { key, algorithms, thumbprint } of candidates) {
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: [...algorithms],
        audience: 'coold',
        // Times are compared above, at each use.
        clockTolerance: Number.MAX_SAFE_INTEGER,
        requiredClaims: ['sub', 'exp'],
      });
      return { payload, keyId: thumbprint };
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw error;
      failure = refused(error.message);
      // Only a wrong signature may be right with another key.
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) break;
    }
  }
  throw (
    failure ?? refused(`no known key verifies it${kid === undefined ? '' : ' of those named by its kid'}`)
  );
}

/**
 * Returns the keys that a token may be signed for: the one that its `kid` names, or all; of those, the ones with its
 * `alg`.
 */
function candidatesFor(token: string, keys: readonly TokenKey[]) {
  let header: ReturnType<typeof decodeProtectedHeader>;
  try {
    header = decodeProtectedHeader(token);
  } catch {
    throw refused('its header cannot be read');
  }
  const { alg, kid } = header;
  const named = keys.filter(({ names }) => kid !== undefined && names.includes(kid));
  const candidates = (named.length === 0 ? keys : named).filter(
    ({ algorithms }) => alg !== undefined && algorithms.includes(alg),
  );
  if (candidates.length === 0) throw refused('"alg" (Algorithm) Header Parameter value not allowed');
  return { candidates, kid: named.length === 0 ? undefined : kid };
}

/** Describes a time, so that the reader can tell a wrong token from a wrong clock. */
function atOnClock(atMs: number, nowMs: number): string {
  const time = (ms: number) =>
    Number.isFinite(new Date(ms).getTime()) ? new Date(ms).toISOString() : String(ms);
  return `(${time(atMs)}; the broker's clock says ${time(nowMs)})`;
}

function refused(why: string): AuthError {
  return new AuthError('unauthenticated', 'bad token', `token refused: ${why.slice(0, 200)}`);
}
