import { readSecretFile, tokenClaims, tokenLife, writeFileAtomically } from '@coold/runtime';

/** A token that was not accepted as a replacement, and why. The message names claims, never their values. */
export class TokenRefused extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TokenRefused';
  }
}

/** The broker accepts no longer token (docs/contract.md §1). */
const maxLength = 16 * 1024;
/** The shortest remaining lifetime of a token that is worth storing, in ms. */
const leastLifeMs = 60_000;

/**
 * Replaces the host's token in its file (docs/contract.md §1) atomically, readable by its owner only. Only the broker
 * has the key to verify it; this checks what can be checked without the key, so that the token of another host or an
 * expired one does not cut this host off.
 *
 * @throws TokenRefused; Error when the file cannot be written
 */
export async function replaceToken(path: string, token: string, now = Date.now()): Promise<void> {
  const claims = readClaims(token);
  const present = await readSecretFile(path).catch(() => undefined);
  const subject = present === undefined ? undefined : tokenClaims(present)?.['sub'];
  if (typeof claims['sub'] !== 'string' || claims['sub'] === '')
    throw new TokenRefused('expected a claim sub, which names the host');
  if (subject !== undefined && claims['sub'] !== subject)
    throw new TokenRefused('its claim sub is another than that of the present token: it is for another host');
  if (!isFor(claims['aud'], 'coold')) throw new TokenRefused('expected coold in its claim aud');
  const { caps, nbf } = claims;
  if (!Array.isArray(caps) || !caps.every(cap => typeof cap === 'string') || !caps.includes('coold'))
    throw new TokenRefused('expected coold in its claim caps: the broker would refuse the host');
  if (nbf !== undefined && !(typeof nbf === 'number' && nbf * 1000 <= now))
    throw new TokenRefused('its claim nbf is not yet reached: the broker would refuse the host');
  const life = tokenLife(token);
  if (life === undefined) throw new TokenRefused('expected a claim exp, in seconds since 1970');
  if (life.ends - now < leastLifeMs)
    throw new TokenRefused(`it ends at ${new Date(life.ends).toISOString()}: expected more than a minute`);
  await writeFileAtomically(path, `${token}\n`, 0o600);
}

/** Returns a JWT's claims, unverified. @throws TokenRefused when it is not a JWT */
function readClaims(token: string): Record<string, unknown> {
  if (token.length > maxLength) throw new TokenRefused(`expected at most ${maxLength} characters`);
  // Three parts in the alphabet of base64url (RFC 7515), which is safe in an HTTP/2 header.
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token))
    throw new TokenRefused('expected a signed JWT: three parts, dots between');
  const claims = tokenClaims(token);
  if (claims === undefined) throw new TokenRefused('expected a JSON object in its second part');
  return claims;
}

function isFor(audience: unknown, name: string): boolean {
  return Array.isArray(audience) ? audience.includes(name) : audience === name;
}
