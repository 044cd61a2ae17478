import { createPublicKey } from 'node:crypto';
import fc from 'fast-check';
import { importPKCS8, jwtVerify, SignJWT } from 'jose';
import { expect, it } from 'vitest';
import { readPlainToken } from './plain-token.ts';
import { generateKeys } from './token.ts';
import { parseTokenKeys } from './token-keys.ts';

const ours = generateKeys();
const other = generateKeys();
const keys = parseTokenKeys(ours.publicKey);
const later = Math.floor(Date.now() / 1000) + 3600;
const claims = { sub: 'h', caps: ['coold'], aud: 'coold', exp: later };

async function sign(payload: object, header: object = {}, key = ours.privateKey): Promise<string> {
  const protectedHeader = { alg: 'ES256', ...header };
  return new SignJWT({ ...payload })
    .setProtectedHeader(protectedHeader)
    .sign(await importPKCS8(key, 'ES256'));
}

/** What jose believes of a token, as auth.ts asks it. */
const byJose = (token: string) =>
  jwtVerify(token, createPublicKey(ours.publicKey), {
    algorithms: ['ES256'],
    audience: 'coold',
    requiredClaims: ['sub', 'exp'],
    clockTolerance: Number.MAX_SAFE_INTEGER,
  }).then(
    ({ payload }) => payload,
    () => undefined,
  );

it('reads what jose reads of a token in its usual form', async () => {
  for (const [payload, header] of [
    [claims, {}],
    [
      { ...claims, jti: 'j', iat: 1, nbf: 2 },
      { typ: 'JWT', kid: keys[0]?.thumbprint },
    ],
    [{ ...claims, exp: 1 }, { kid: 'unknown' }],
  ] as const) {
    const token = await sign(payload, header);
    const read = readPlainToken(token, keys);
    expect(read?.payload).toEqual(await byJose(token));
    expect(read?.keyId).toBe(keys[0]?.thumbprint);
  }
});

it('leaves every other token to jose', async () => {
  const good = await sign(claims);
  const [head = '', body = '', signature = ''] = good.split('.');
  const tokens = [
    ...['', 'a.b', 'a.b.c', `${good}.`, `${good}=`, ` ${good}`, `${head}.${body}.`],
    ...[`${head}.${body}.${'A'.repeat(86)}`, `${head}.${body}=.${signature}`],
    await sign(claims, {}, other.privateKey),
    await sign(claims, { crit: ['b64'], b64: true }),
    await sign(claims, { cty: 'x' }),
    await sign({ ...claims, aud: ['coold'] }),
    await sign({ ...claims, aud: 'other' }),
    await sign({ ...claims, sub: 1 }),
    await sign({ ...claims, exp: undefined }),
    await sign({ ...claims, caps: ['hö'] }),
  ];
  for (const token of tokens) expect(readPlainToken(token, keys), token).toBeUndefined();
  expect(readPlainToken(good, [])).toBeUndefined();
  expect(readPlainToken(good, [...keys, ...parseTokenKeys(other.publicKey)]), 'which key?').toBeUndefined();
});

it('believes nothing that jose does not, whatever is changed in a token', async () => {
  const good = await sign({ ...claims, iat: 1 }, { typ: 'JWT' });
  const changed = fc
    .tuple(fc.nat(good.length - 1), fc.constantFrom(...'ABab01-_.=+/ '))
    .map(([at, letter]) => `${good.slice(0, at)}${letter}${good.slice(at + 1)}`);
  await fc.assert(
    fc.asyncProperty(changed, async token => {
      const read = readPlainToken(token, keys);
      if (read !== undefined) expect(read.payload).toEqual(await byJose(token));
    }),
    { numRuns: 300 },
  );
});
