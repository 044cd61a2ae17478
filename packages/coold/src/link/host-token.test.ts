import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { replaceToken } from './host-token.ts';

const now = Date.UTC(2030, 0, 1);
const claims = { sub: '100.64.0.7', aud: 'coold', caps: ['coold'], exp: now / 1000 + 3600 };
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwt = (payload: unknown) => `${part({ alg: 'ES256' })}.${part(payload)}.c2ln`;

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let path: string;
beforeEach(async () => {
  folder = await scratchFolder();
  path = join(folder.path, 'host-jwt');
  await writeFile(path, `${jwt(claims)}\n`, { mode: 0o600 });
});
afterEach(() => folder[Symbol.asyncDispose]());

it('puts a token in the place of the present one, readable by its owner alone', async () => {
  const next = jwt({ ...claims, exp: claims.exp + 9 });
  await replaceToken(path, next, now);
  expect(await readFile(path, 'utf8')).toBe(`${next}\n`);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(folder.path)).toEqual(['host-jwt']);
});

it.each([
  ['a text that is no JWT', 'x', 'three parts'],
  ['a JWT with a line break after it', `${jwt(claims)}\n`, 'three parts'],
  ['claims that are no object', `${part({})}.${part([])}.c2ln`, 'JSON object'],
  ['a long one', jwt({ ...claims, x: 'x'.repeat(16_384) }), 'at most 16384'],
  ['one of another host', jwt({ ...claims, sub: '100.64.0.8' }), 'another host'],
  ['one of no host', jwt({ ...claims, sub: undefined }), 'claim sub'],
  ['one for something else', jwt({ ...claims, aud: 'web' }), 'claim aud'],
  ['one that does not grant coold', jwt({ ...claims, caps: ['builder'] }), 'claim caps'],
  ['one whose grants are not names', jwt({ ...claims, caps: ['coold', 5] }), 'claim caps'],
  ['one that begins later', jwt({ ...claims, nbf: now / 1000 + 1 }), 'claim nbf'],
  ['one without an end', jwt({ ...claims, exp: undefined }), 'claim exp'],
  ['one that has ended', jwt({ ...claims, exp: now / 1000 - 1 }), 'it ends at 2029-12-31T23:59:59.000Z'],
])('refuses %s, and the present one stays', async (_, token, why) => {
  await expect(replaceToken(path, token, now)).rejects.toThrow(why);
  expect(await readFile(path, 'utf8')).toBe(`${jwt(claims)}\n`);
});

it('takes the token of any host where there is none that could be read', async () => {
  await chmod(path, 0o644);
  const next = jwt({ ...claims, aud: ['x', 'coold'], sub: 'host-8' });
  await replaceToken(path, next, now);
  expect(await readFile(path, 'utf8')).toBe(`${next}\n`);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

it('says which file cannot be written', async () => {
  await expect(replaceToken(join(folder.path, 'none', 'jwt'), jwt(claims), now)).rejects.toThrow('ENOENT');
});
