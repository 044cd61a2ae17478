import { mkdir, realpath, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { planDockerfile } from './dockerfile.ts';

let stack: AsyncDisposableStack;
let checkout: string;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  checkout = await realpath(stack.use(await scratchFolder()).path);
});

afterEach(() => stack.disposeAsync());

const write = (name: string, content: string) => writeFile(join(checkout, name), content);
const plan = (dockerfile?: string) =>
  planDockerfile(checkout, { buildArgs: {}, ...(dockerfile === undefined ? {} : { dockerfile }) });

it('takes a Containerfile before a Dockerfile, and what either leaves out of the context', async () => {
  await write('Dockerfile', 'FROM a');
  await write('.dockerignore', 'a');
  expect(await plan()).toEqual({
    containerfile: 'FROM a',
    context: checkout,
    ignore: 'a',
    buildArgs: {},
    runs: true,
  });
  await write('Containerfile', 'FROM b');
  await write('.containerignore', 'b');
  expect(await plan()).toMatchObject({ containerfile: 'FROM b', ignore: 'b' });
});

it('takes the file that is named, build arguments and target', async () => {
  await mkdir(join(checkout, 'docker'));
  await write('docker/Dockerfile.in', 'FROM c');
  const config = { dockerfile: 'docker/Dockerfile.in', buildArgs: { A: 'b' }, target: 'final' };
  // A copy of its text: the name would have buildah run the C preprocessor on it.
  expect(await planDockerfile(checkout, config)).toMatchObject({
    containerfile: 'FROM c',
    buildArgs: { A: 'b' },
    target: 'final',
  });
});

it('refuses a file that is none, is not there or lies elsewhere', async () => {
  const refused = (why: string) => ({ code: 422, stage: 'stack', message: expect.stringContaining(why) });
  await expect(plan()).rejects.toMatchObject(refused('neither a Containerfile nor a Dockerfile'));
  await expect(plan('x')).rejects.toMatchObject(
    refused('dockerfile_cfg.dockerfile: "x" is not in the repository'),
  );
  await symlink('/etc/passwd', join(checkout, 'Dockerfile'));
  await expect(plan()).rejects.toMatchObject(refused('"Dockerfile" leads out of the repository'));
  await mkdir(join(checkout, 'folder'));
  await expect(plan('folder')).rejects.toMatchObject(refused('is no file'));
  await write('large', '');
  await truncate(join(checkout, 'large'), 2 << 20);
  await expect(plan('large')).rejects.toMatchObject(refused('has 2097152 bytes'));
});

it.each(['/dev/zero', '/etc/shadow', '.dockerignore'])(
  'does not follow an ignore file to %s',
  async target => {
    await write('Dockerfile', 'FROM a');
    await symlink(target, join(checkout, '.dockerignore'));
    await expect(plan()).rejects.toMatchObject({
      code: 422,
      message: expect.stringContaining('".dockerignore"'),
    });
  },
);
