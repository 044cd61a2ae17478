import { createPrivateKey, sign } from 'node:crypto';

/** Signs a host token as in docs/contract.md §1 with the EC key of a PEM (ES256); it is valid for an hour. */
export function signToken(pem: string, hostId: string, caps: readonly string[] = ['coold']): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const claims = { sub: hostId, aud: 'coold', exp: Math.floor(Date.now() / 1000) + 3600, caps };
  const signed = `${encode({ alg: 'ES256', typ: 'JWT' })}.${encode(claims)}`;
  const key = { key: createPrivateKey(pem), dsaEncoding: 'ieee-p1363' } as const;
  return `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`;
}
