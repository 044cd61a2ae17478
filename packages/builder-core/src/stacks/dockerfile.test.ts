import { mkdir, realpath, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readContainerfile } from '../containerfile/parse.ts';
import { labelOf, readBaseImages } from './base-images.ts';
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
    containerfile: readContainerfile('FROM a'),
    context: checkout,
    ignore: 'a',
    buildArgs: {},
    runs: true,
  });
  await write('Containerfile', 'FROM b');
  await write('.containerignore', 'b');
  expect(await plan()).toMatchObject({ containerfile: readContainerfile('FROM b'), ignore: 'b' });
});

it('takes the file that is named, build arguments and target', async () => {
  await mkdir(join(checkout, 'docker'));
  await write('docker/Dockerfile.in', 'FROM c');
  const config = { dockerfile: 'docker/Dockerfile.in', buildArgs: { A: 'b' }, target: 'final' };
  // A copy of its text: the name would have buildah run the C preprocessor on it.
  expect(await planDockerfile(checkout, config)).toMatchObject({
    containerfile: readContainerfile('FROM c'),
    buildArgs: { A: 'b' },
    target: 'final',
  });
});

it('refuses a folder, a missing file and a file outside the repository', async () => {
  const refused = (why: string) => ({ code: 422, stage: 'stack', message: expect.stringContaining(why) });
  await expect(plan()).rejects.toMatchObject(refused('neither a Containerfile nor a Dockerfile'));
  await expect(plan('x')).rejects.toMatchObject(
    refused('dockerfile_cfg.dockerfile: "x" is not in the repository'),
  );
  await symlink('/etc/passwd', join(checkout, 'Dockerfile'));
  await expect(plan()).rejects.toMatchObject(refused('"Dockerfile" leads out of the repository'));
  await mkdir(join(checkout, 'folder'));
  await expect(plan('folder')).rejects.toMatchObject(refused('is not a file'));
  await write('large', '');
  await truncate(join(checkout, 'large'), 2 << 20);
  await expect(plan('large')).rejects.toMatchObject(refused('has 2097152 bytes'));
});

it.each([
  ['FROM a\nRUN \xff\n', 2],
  ['FROM a\nRUN x\nCOPY --from=dir:/x /a /b\n', 3],
  ['FROM a\nRUN x \\\n\\\n  y\n\nWHAT x\n', 6],
  ['FROM a\nVOLUME \\ \\\n\n', 2],
  ['FROM a\nRUN x \\\\\n', 2],
])('names the line that it refuses: %j', async (text, line) => {
  await writeFile(join(checkout, 'Dockerfile'), Buffer.from(text, 'latin1'));
  await expect(plan()).rejects.toMatchObject({
    code: 422,
    stage: 'stack',
    message: expect.stringMatching(`^line ${line}: `),
  });
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

it.each([
  `FROM a\n${'VOLUME $A\n'.repeat(100_000)}`,
  `FROM a\n${'VOLUME $A\n'.repeat(4_990)}ENV B=c\n`,
  'FROM a\n'.repeat(5_000),
  `FROM a AS b\n${'FROM a\nCOPY --from=b a b\n'.repeat(2_400)}`,
  `FROM a\nRUN echo "${'<<A '.repeat(16_000)}"\n`,
  `FROM a\n${'ENV A=$A$A$A$A\n'.repeat(4_900)}ADD $A /x\n`,
  `${'ARG A=a$A$A$A$A\n'.repeat(4_900)}FROM $A\n`,
  `FROM a\nRUN ${'\\ '.repeat(500_000)}x\n`,
  `FROM a\nRUN ["${'\\\\'.repeat(250_000)}" x\n`,
  `FROM a\nRUN x \\\n${'\n'.repeat(1_000_000)}`,
  `FROM a\nRUN${' '.repeat(1_000_000)}x\n`,
  `FROM a\nCOPY ${'--link '.repeat(9_000)}a b\n`,
])('is refused or understood within seconds whatever it holds: %#', async text => {
  await write('Dockerfile', text);
  const began = performance.now();
  try {
    const { containerfile } = await plan();
    const bases = readBaseImages(containerfile, { buildArgs: {}, platform: 'linux/amd64' });
    bases.pin(new Map([...bases.images.map(labelOf), ...bases.copied].map(label => [label, { id: 'x' }])));
  } catch (error) {
    expect(error).toMatchObject({ code: 422, stage: 'stack' });
  }
  expect(performance.now() - began).toBeLessThan(10_000);
});
