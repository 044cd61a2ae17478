import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSecretFile, SecretError } from './secret.ts';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'secret-'));
  path = join(folder, 'token');
});

afterEach(() => rm(folder, { recursive: true }));

async function write(content: string | Uint8Array, mode = 0o600): Promise<void> {
  await writeFile(path, content);
  await chmod(path, mode);
}

async function refusal(of = path): Promise<string> {
  const error: unknown = await readSecretFile(of).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(SecretError);
  return (error as SecretError).message;
}

describe('a secret', () => {
  it('is read without the white space around it', async () => {
    await write('  s3cret token\n');
    expect(await readSecretFile(path)).toBe('s3cret token');
  });

  it.each([0o600, 0o400, 0o700])('is read with mode %o', async mode => {
    await write('s', mode);
    expect(await readSecretFile(path)).toBe('s');
  });

  it('is read through a symbolic link', async () => {
    await write('s');
    await symlink(path, join(folder, 'link'));
    expect(await readSecretFile(join(folder, 'link'))).toBe('s');
  });

  it('may be as large as 64 KiB', async () => {
    await write('x'.repeat(65_536));
    expect(await readSecretFile(path)).toHaveLength(65_536);
  });
});

describe('a refusal names the file', () => {
  it.each([0o640, 0o604, 0o660, 0o620, 0o602, 0o610, 0o601, 0o777])('that has mode %o', async mode => {
    await write('s', mode);
    expect(await refusal()).toBe(
      `${path} has mode ${mode.toString(8)}: group or world can read it (chmod 600)`,
    );
  });

  it('for exactly the modes that let anyone but the owner in', async () => {
    await write('s');
    await fc.assert(
      fc.asyncProperty(fc.nat(0o777), async mode => {
        await chmod(path, mode);
        const outcome = await readSecretFile(path).catch((error: unknown) => error);
        expect(outcome instanceof SecretError).toBe((mode & 0o077) !== 0);
      }),
    );
  });

  it('that is missing', async () => {
    expect(await refusal()).toContain(`${path} cannot be read: ENOENT`);
  });

  it.each(['', ' \n\t\n'])('that is empty: %j', async content => {
    await write(content);
    expect(await refusal()).toBe(`${path} is empty`);
  });

  it('that is a directory', async () => {
    await mkdir(path, 0o700);
    expect(await refusal()).toBe(`${path} is not a regular file`);
  });

  it('that is a fifo, without waiting for a writer', async () => {
    execFileSync('mkfifo', ['-m', '600', path]);
    expect(await refusal()).toBe(`${path} is not a regular file`);
  });

  it('that is a device', async () => {
    expect(await refusal('/dev/zero')).toBe('/dev/zero is not a regular file');
  });

  it('that is too large', async () => {
    await write('x'.repeat(65_537));
    expect(await refusal()).toBe(`${path} is larger than 65536 bytes`);
  });

  it('and never what is in it', async () => {
    await write('hunter2', 0o644);
    expect(await refusal()).not.toContain('hunter2');
  });
});
