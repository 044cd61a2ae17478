import { createPublicKey, type KeyObject } from 'node:crypto';
import { errors, jwtVerify } from 'jose';
import { hostId } from './host-id.ts';
import { rememberVerified } from './remember-verified.ts';

/** Who a stream belongs to, as its token says. */
export interface Identity {
  hostId: string;
  caps: readonly string[];
  /** Claim `jti`: what this one token is called. */
  tokenId: string | undefined;
  /** Claim `exp`, in ms since 1970; it is believed `leewayMs` longer. */
  expiresAt: number;
}

/** Why a token was refused, from a closed set: metrics count by it. */
export type AuthReason =
  | 'missing'
  | 'bad token'
  | 'bad claims'
  | 'expired'
  | 'not yet valid'
  | 'revoked'
  | 'not granted';

/** A token that was refused: not believed, or believed and not entitled. */
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
  /** Asked each time, also for a token that was verified before. */
  isRevoked?: (identity: Identity) => boolean;
  now?: () => number;
}

const maxTokenLength = 16 * 1024;
/** For clocks that differ (docs/contract.md §1). */
export const leewayMs = 60_000;
/** Tokens whose signature is known to be good; a fleet that reconnects brings the same ones. */
const maxRemembered = 20_000;

/**
 * A verifier for the tokens of docs/contract.md §1, by a PEM public key. Which algorithms are believed follows from the
 * key, and any other is refused before signature work.
 *
 * @throws Error when the key is none that fits
 */
export function createVerifier(pem: string, options: VerifierOptions = {}): Verifier {
  const { isRevoked = () => false, now = Date.now } = options;
  if (pem.includes('PRIVATE KEY')) throw new Error('holds a private key: expected the public key alone');
  const key = createPublicKey(pem);
  const algorithms = algorithmsFor(key);
  const verify = rememberVerified(token => readToken(token, key, algorithms), maxRemembered);
  return async authorization => {
    const token = /^Bearer ([^\s]+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined)
      throw new AuthError('unauthenticated', 'missing', 'expected authorization: Bearer <JWT>');
    if (token.length > maxTokenLength)
      throw new AuthError('unauthenticated', 'bad token', 'token is too long');
    const { identity, notBefore } = await verify(token);
    // Whatever is remembered of its signature, these are of this moment.
    if (identity.expiresAt + leewayMs <= now())
      throw new AuthError('unauthenticated', 'expired', 'token refused: it has expired');
    if (notBefore - leewayMs > now())
      throw new AuthError('unauthenticated', 'not yet valid', 'token refused: not yet valid');
    if (isRevoked(identity))
      throw new AuthError('unauthenticated', 'revoked', 'token refused: it is revoked');
    return identity;
  };
}

/** What a token says, when it was signed by who may. */
interface SignedClaims {
  identity: Identity;
  /** Claim `nbf`, in ms since 1970. */
  notBefore: number;
}

/** @throws AuthError whatever else is wrong; times are not looked at, or a token that was good would be remembered so */
async function readToken(token: string, key: KeyObject, algorithms: string[]): Promise<SignedClaims> {
  const { sub, caps, jti, exp, nbf } = await verifySignature(token, key, algorithms);
  if (typeof sub !== 'string' || hostId.parse(sub) === undefined)
    throw new AuthError('unauthenticated', 'bad claims', 'token claim sub is not a host id');
  if (exp === undefined || !Number.isFinite(exp))
    throw new AuthError('unauthenticated', 'bad claims', 'token claim exp is missing');
  if (!Array.isArray(caps) || !caps.every(cap => typeof cap === 'string'))
    throw new AuthError('denied', 'bad claims', 'token claim caps is not a list of names');
  if (!caps.includes('coold'))
    throw new AuthError('denied', 'not granted', 'token claim caps does not grant "coold"');
  const tokenId = typeof jti === 'string' ? jti : undefined;
  return { identity: { hostId: sub, caps, tokenId, expiresAt: exp * 1000 }, notBefore: (nbf ?? 0) * 1000 };
}

async function verifySignature(token: string, key: KeyObject, algorithms: string[]) {
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms,
      audience: 'coold',
      // Its times are compared above, at each use.
      clockTolerance: Number.MAX_SAFE_INTEGER,
      requiredClaims: ['sub', 'exp'],
    });
    return payload;
  } catch (error) {
    if (error instanceof errors.JOSEError)
      throw new AuthError('unauthenticated', 'bad token', `token refused: ${error.message.slice(0, 200)}`);
    throw error;
  }
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
