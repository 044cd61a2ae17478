import { generateKeyPairSync } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { calculateJwkThumbprint, exportJWK, SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { createVerifier } from './auth.ts';
import { parseTokenKeys, readTokenKeys, tokenKeyFiles } from './token-keys.ts';

const pair = (namedCurve = 'P-256') => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve });
  return { publicKey, privateKey, pem: publicKey.export({ type: 'spki', format: 'pem' }).toString() };
};
const [first, second, third] = [pair(), pair(), pair('P-384')];
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;

const sign = ({ privateKey }: typeof first, header: { alg?: string; kid?: string } = {}) =>
  new SignJWT({ caps: ['coold'] })
    .setProtectedHeader({ alg: 'ES256', ...header })
    .setSubject('h')
    .setAudience('coold')
    .setExpirationTime('10m')
    .sign(privateKey);

describe('several keys in PEM', () => {
  const keys = parseTokenKeys(`# the old one\n${first.pem}\n${second.pem}# the next\n${third.pem}`);
  const verify = createVerifier(keys);
  const believe = async (token: string) => (await verify(`Bearer ${token}`)).keyId;

  it('are all read, each with its thumbprint of RFC 7638', async () => {
    const expected = await Promise.all(
      [first, second, third].map(async ({ publicKey }) => calculateJwkThumbprint(await exportJWK(publicKey))),
    );
    expect(keys.map(({ thumbprint }) => thumbprint)).toEqual(expected);
    const [ofRsa] = parseTokenKeys(rsa.export({ type: 'spki', format: 'pem' }).toString());
    expect(ofRsa?.thumbprint).toBe(await calculateJwkThumbprint(await exportJWK(rsa)));
  });

  it('accept a token of each key, with and without a kid, also one whose kid names no key here', async () => {
    expect(await believe(await sign(first))).toBe(keys[0]?.thumbprint);
    expect(await believe(await sign(second))).toBe(keys[1]?.thumbprint);
    expect(await believe(await sign(third, { alg: 'ES384' }))).toBe(keys[2]?.thumbprint);
    expect(await believe(await sign(second, { kid: keys[1]?.thumbprint ?? '' }))).toBe(keys[1]?.thumbprint);
    expect(await believe(await sign(second, { kid: 'of another make' }))).toBe(keys[1]?.thumbprint);
  });

  it('refuse a token whose kid names another key, and a token of an unknown key', async () => {
    const misled = await sign(second, { kid: keys[0]?.thumbprint ?? '' });
    await expect(believe(misled)).rejects.toMatchObject({ kind: 'unauthenticated', reason: 'bad token' });
    await expect(believe(await sign(pair()))).rejects.toMatchObject({ reason: 'bad token' });
    await expect(
      believe(await sign(third, { alg: 'ES384', kid: keys[0]?.thumbprint ?? '' })),
    ).rejects.toThrow(/alg/);
  });
});

it.each([
  ['', 'holds no public key in PEM'],
  ['half of a k', 'holds no public key in PEM'],
  [
    '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n',
    'holds a PEM block that is not a public key',
  ],
  [`${first.pem}${second.pem.slice(0, -30)}`, 'holds a PEM block without its end'],
  [`${first.pem.slice(0, 60)}\n${second.pem}`, 'holds a PEM block without its end'],
])('what holds no key is said in words, not in those of OpenSSL: %j', (text, message) => {
  expect(() => parseTokenKeys(text)).toThrow(new Error(message));
});

describe('a folder of keys', () => {
  it('has those of its files, called by their names', async () => {
    await using folder = await scratchFolder();
    const file = (name: string) => join(folder.path, name);
    await writeFile(file('2026-11.pem'), first.pem);
    await writeFile(file('2027.pub'), second.pem);
    await writeFile(file('.2028.pem.tmp'), 'half of a key');
    await mkdir(file('old'));
    const keys = await readTokenKeys(folder.path);
    expect(keys.map(({ names }) => names[1])).toEqual(['2026-11', '2027']);
    const verify = createVerifier(keys);
    const believed = await verify(`Bearer ${await sign(second, { kid: '2027' })}`);
    expect(believed.keyId).toBe(keys[1]?.thumbprint);
    await expect(verify(`Bearer ${await sign(second, { kid: '2026-11' })}`)).rejects.toThrow('token refused');
    expect(await tokenKeyFiles(folder.path)).toEqual([folder.path, file('2026-11.pem'), file('2027.pub')]);

    await writeFile(file('broken.pem'), 'not a key');
    await expect(readTokenKeys(folder.path)).rejects.toThrow(/^broken\.pem /);
    for (const name of ['broken.pem', '2026-11.pem', '2027.pub']) await rm(file(name));
    await expect(readTokenKeys(folder.path)).rejects.toThrow('is a folder without keys');
  });

  it('is not read when it holds too many, nor a private one', async () => {
    await using folder = await scratchFolder();
    const file = join(folder.path, 'keys.pem');
    await writeFile(file, first.pem.repeat(33));
    await expect(readTokenKeys(file)).rejects.toThrow('holds 33 keys: expected at most 32');
    const secret = first.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect(() => parseTokenKeys(`${second.pem}${secret}`)).toThrow(/private key/);
  });
});
