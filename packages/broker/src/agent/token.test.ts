import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseConfig } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import { describe, expect, it } from 'vitest';
import { createVerifier } from './auth.ts';
import { mintToken, mintTokenFromFile, writeKeys } from './token.ts';
import { keygenCommand, tokenCommand } from './token-commands.ts';

describe('keygen', () => {
  it('writes a pair whose tokens the broker believes, the private half for its owner alone', async () => {
    await using folder = await scratchFolder();
    const paths = { private: join(folder.path, 'k'), public: join(folder.path, 'k.pub') };
    await writeKeys(paths);
    expect((await stat(paths.private)).mode & 0o777).toBe(0o600);
    expect((await stat(paths.public)).mode & 0o777).toBe(0o644);
    const token = await mintTokenFromFile(paths.private, {
      hostId: 'h',
      caps: ['coold', 'builder'],
      ttlMs: 60_000,
    });
    const verify = createVerifier(await readFile(paths.public, 'utf8'));
    expect(await verify(`Bearer ${token}`)).toMatchObject({ hostId: 'h', caps: ['coold', 'builder'] });
  });

  it.each(['private', 'public'] as const)('never overwrites a %s key', async half => {
    await using folder = await scratchFolder();
    const paths = { private: join(folder.path, 'k'), public: join(folder.path, 'k.pub') };
    await writeFile(paths[half], 'precious');
    await expect(writeKeys(paths)).rejects.toThrow(/exists/);
    expect(await readFile(paths[half], 'utf8')).toBe('precious');
  });

  it('leaves no private key behind when the public one cannot be written', async () => {
    await using folder = await scratchFolder();
    const paths = { private: join(folder.path, 'k'), public: join(folder.path, 'no/k.pub') };
    await expect(writeKeys(paths)).rejects.toThrow(/ENOENT/);
    await expect(stat(paths.private)).rejects.toThrow(/ENOENT/);
  });
});

describe('what is asked for', () => {
  const said = (parsed: ReturnType<typeof parseConfig>) => (parsed.kind === 'exit' ? parsed.text : 'nothing');

  it.each([
    [['--host-id', 'bad host'], '--host-id="bad host": expected a host id'],
    [['--host-id', 'h', '--caps', ','], '--caps does not name coold'],
    [['--host-id', 'h', '--caps', 'builder'], '--caps does not name coold'],
    [['--host-id', 'h', '--caps', 'coold,BUILDER'], '--caps="coold,BUILDER": expected'],
    [['--host-id', 'h', '--ttl', '0s'], '--ttl is under a second'],
  ])('as a token with %j is refused when the broker would refuse it', (argv, line) => {
    const parsed = parseConfig(tokenCommand, { argv: ['--key', '/k', ...argv], env: {}, version: '0' });
    expect(said(parsed as ReturnType<typeof parseConfig>)).toContain(line);
  });

  it('as keys in one file is refused', () => {
    const argv = ['--private', '/k', '--public', '/k'];
    const parsed = parseConfig(keygenCommand, { argv, env: {}, version: '0' });
    expect(said(parsed as ReturnType<typeof parseConfig>)).toContain('expected another');
  });
});

describe('token', () => {
  it.each([
    ['P-384', generateKeyPairSync('ec', { namedCurve: 'P-384' })],
    ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 })],
  ])('is minted with the algorithm that fits a %s key', async (_, { privateKey }) => {
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const token = await mintToken(pem, { hostId: 'h', caps: ['coold'], ttlMs: 60_000 });
    const publicPem = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString();
    await expect(createVerifier(publicPem)(`Bearer ${token}`)).resolves.toMatchObject({ hostId: 'h' });
  });

  it('is not minted with a key that others can read', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'k');
    await writeFile(path, 'key', { mode: 0o644 });
    await expect(mintTokenFromFile(path, { hostId: 'h', caps: [], ttlMs: 1 })).rejects.toThrow(/chmod 600/);
  });
});
