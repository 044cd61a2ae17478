import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { type AuthError, createVerifier, type Identity } from './auth.ts';

const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString();
const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve });
const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength });

const p256 = ec('P-256');
const p384 = ec('P-384');
const rsa2048 = rsa(2048);
const now = () => Math.floor(Date.now() / 1000);

interface Claims {
  sub?: unknown;
  aud?: unknown;
  exp?: unknown;
  caps?: unknown;
  nbf?: unknown;
}

const good = (): Claims => ({ sub: 'host-1', aud: 'coold', exp: now() + 600, caps: ['coold', 'builder'] });

function sign(claims: Claims, key: KeyObject | Uint8Array = p256.privateKey, alg = 'ES256'): Promise<string> {
  return new SignJWT({ ...claims } as Record<string, unknown>).setProtectedHeader({ alg }).sign(key);
}

function verify(token: string | undefined, key: KeyObject = p256.publicKey): Promise<Identity> {
  return createVerifier(pem(key))(token === undefined ? undefined : `Bearer ${token}`);
}

async function refusal(attempt: Promise<unknown>): Promise<AuthError> {
  return attempt.then(
    () => expect.fail('the token was believed'),
    (error: AuthError) => error,
  );
}

describe('a token that fits', () => {
  it.each([
    ['ES256', p256],
    ['ES384', p384],
    ['RS256', rsa2048],
    ['RS384', rsa2048],
    ['RS512', rsa2048],
    ['PS256', rsa2048],
    ['PS384', rsa2048],
    ['PS512', rsa2048],
  ] as const)('is believed with %s', async (alg, pair) => {
    const identity = await verify(await sign(good(), pair.privateKey, alg), pair.publicKey);
    expect(identity).toMatchObject({ hostId: 'host-1', caps: ['coold', 'builder'] });
  });

  it('is accepted with coold among several audiences', async () => {
    await expect(verify(await sign({ ...good(), aud: ['other', 'coold'] }))).resolves.toBeDefined();
  });

  it('is accepted up to 60 s after it expired, for clocks that differ', async () => {
    await expect(verify(await sign({ ...good(), exp: now() - 50 }))).resolves.toBeDefined();
  });
});

describe('a token that does not fit is refused as unauthenticated', () => {
  it.each<[string, Claims]>([
    ['expired beyond the leeway', { exp: now() - 70 }],
    ['without exp', { exp: undefined }],
    ['with an exp that is no number', { exp: 'tomorrow' }],
    ['not yet valid beyond the leeway', { nbf: now() + 120 }],
    ['for another audience', { aud: 'broker' }],
    ['without audience', { aud: undefined }],
    ['without sub', { sub: undefined }],
    ['with an empty sub', { sub: '' }],
    ['with a newline in sub', { sub: 'host\n1' }],
    ['with a path for sub', { sub: '../host' }],
    ['with a sub of 10 KB', { sub: 'h'.repeat(10_240) }],
    ['with a number for sub', { sub: 7 }],
  ])('%s', async (_, claims) => {
    const token = await sign({ ...good(), ...claims });
    expect((await refusal(verify(token))).kind).toBe('unauthenticated');
  });

  it('signed by another key', async () => {
    const token = await sign(good(), ec('P-256').privateKey);
    expect((await refusal(verify(token))).kind).toBe('unauthenticated');
  });

  it('with any byte of payload or signature changed', async () => {
    const token = await sign(good());
    const [header = '', payload = '', signature = ''] = token.split('.');
    const flip = (part: string) => `${part.startsWith('A') ? 'B' : 'A'}${part.slice(1)}`;
    for (const forged of [
      `${header}.${flip(payload)}.${signature}`,
      `${header}.${payload}.${flip(signature)}`,
    ])
      expect((await refusal(verify(forged))).kind).toBe('unauthenticated');
  });

  it.each<[string, string | undefined]>([
    ['no header at all', undefined],
    ['an empty one', ''],
    ['another scheme', 'Basic aG9zdDpwYXNz'],
    ['two tokens in one', 'Bearer a.b.c d.e.f'],
    ['no token', 'Bearer '],
    ['text that is no token', 'Bearer hello'],
    ['a megabyte', `Bearer ${'a'.repeat(1 << 20)}`],
  ])('%s', async (_, header) => {
    expect((await refusal(createVerifier(pem(p256.publicKey))(header))).kind).toBe('unauthenticated');
  });
});

describe('an algorithm that is not for the key is refused before signature work', () => {
  // The reason names the algorithm, not the signature: it was never looked at.
  const byAlgorithm = /alg/i;

  it('none', async () => {
    const token = new UnsecuredJWT({ ...good() } as Record<string, unknown>).encode();
    expect((await refusal(verify(token))).message).toMatch(byAlgorithm);
  });

  it.each(['HS256', 'HS384', 'HS512'])('%s with the public key as the secret', async alg => {
    const header = Buffer.from(JSON.stringify({ alg })).toString('base64url');
    const body = `${header}.${Buffer.from(JSON.stringify(good())).toString('base64url')}`;
    const hash = alg.replace('HS', 'sha');
    const forged = `${body}.${createHmac(hash, pem(p256.publicKey)).update(body).digest('base64url')}`;
    expect((await refusal(verify(forged))).message).toMatch(byAlgorithm);
  });

  it('EdDSA', async () => {
    const token = await sign(good(), generateKeyPairSync('ed25519').privateKey, 'EdDSA');
    expect((await refusal(verify(token))).message).toMatch(byAlgorithm);
  });

  it.each([
    ['ES384 at a P-256 key', p384, 'ES384', p256],
    ['ES256 at a P-384 key', p256, 'ES256', p384],
    ['RS256 at an EC key', rsa2048, 'RS256', p256],
    ['ES256 at an RSA key', p256, 'ES256', rsa2048],
  ] as const)('%s', async (_, signer, alg, verifier) => {
    const token = await sign(good(), signer.privateKey, alg);
    expect((await refusal(verify(token, verifier.publicKey))).message).toMatch(byAlgorithm);
  });

  it('a header that promises extensions nobody here understands', async () => {
    const token = await new SignJWT({ ...good() } as Record<string, unknown>)
      .setProtectedHeader({ alg: 'ES256', crit: ['b64'], b64: true })
      .sign(p256.privateKey)
      .catch(() => undefined);
    const [, payload = '', signature = ''] = (token ?? (await sign(good()))).split('.');
    const header = Buffer.from(JSON.stringify({ alg: 'ES256', crit: ['urn:x'], 'urn:x': 1 })).toString(
      'base64url',
    );
    expect((await refusal(verify(`${header}.${payload}.${signature}`))).kind).toBe('unauthenticated');
  });
});

describe('a valid token that does not entitle its bearer is denied', () => {
  it.each([
    ['no caps', undefined],
    ['caps without coold', ['builder']],
    ['empty caps', []],
    ['caps as text', 'coold'],
    ['caps with something else than names', ['coold', 1]],
  ])('%s', async (_, caps) => {
    expect((await refusal(verify(await sign({ ...good(), caps })))).kind).toBe('denied');
  });
});

describe('a key that cannot verify host tokens is refused at start', () => {
  it.each([
    ['a private key', p256.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), /private key/],
    ['RSA of 1024 bits', pem(rsa(1024).publicKey), /2048/],
    ['Ed25519', pem(generateKeyPairSync('ed25519').publicKey), /ed25519/],
    ['P-521', pem(ec('P-521').publicKey), /secp521r1/],
    ['text', 'not a key', /./],
  ])('%s', (_, text, message) => {
    expect(() => createVerifier(text)).toThrow(message);
  });
});
