import { createPublicKey, type KeyObject } from 'node:crypto';
import { errors, jwtVerify } from 'jose';
import { hostId } from './host-id.ts';

/** Who a stream belongs to, as its token says. */
export interface Identity {
  hostId: string;
  caps: readonly string[];
}

/** Why a token was refused: not believed, or believed and not entitled. */
export class AuthError extends Error {
  readonly kind: 'unauthenticated' | 'denied';
  constructor(kind: AuthError['kind'], message: string) {
    super(message);
    this.name = 'AuthError';
    this.kind = kind;
  }
}

/** @throws AuthError */
export type Verifier = (authorization: string | undefined) => Promise<Identity>;

const maxTokenLength = 16 * 1024;
const leewaySeconds = 60;

/**
 * A verifier for the tokens of CONTRACT §1, by a PEM public key. Which algorithms are believed follows from the key, and
 * any other is refused before signature work.
 *
 * @throws Error when the key is none that fits
 */
export function createVerifier(pem: string): Verifier {
  if (pem.includes('PRIVATE KEY')) throw new Error('holds a private key: expected the public key alone');
  const key = createPublicKey(pem);
  const algorithms = algorithmsFor(key);
  return async authorization => {
    const token = /^Bearer ([^\s]+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) throw new AuthError('unauthenticated', 'expected authorization: Bearer <JWT>');
    if (token.length > maxTokenLength) throw new AuthError('unauthenticated', 'token is too long');
    const claims = await verify(token, key, algorithms);
    const { sub, caps } = claims;
    if (typeof sub !== 'string' || hostId.parse(sub) === undefined)
      throw new AuthError('unauthenticated', 'token claim sub is not a host id');
    if (!Array.isArray(caps) || !caps.every(cap => typeof cap === 'string'))
      throw new AuthError('denied', 'token claim caps is not a list of names');
    if (!caps.includes('coold')) throw new AuthError('denied', 'token claim caps does not grant "coold"');
    return { hostId: sub, caps };
  };
}

async function verify(token: string, key: KeyObject, algorithms: string[]) {
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms,
      audience: 'coold',
      clockTolerance: leewaySeconds,
      requiredClaims: ['sub', 'exp'],
    });
    return payload;
  } catch (error) {
    if (error instanceof errors.JOSEError)
      throw new AuthError('unauthenticated', `token refused: ${error.message}`);
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
