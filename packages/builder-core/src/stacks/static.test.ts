import { mkdir, realpath, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isImageReference } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readContainerfile } from '../containerfile/parse.ts';
import { planStatic, staticContainerfile } from './static.ts';

let stack: AsyncDisposableStack;
let checkout: string;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  const folder = await realpath(stack.use(await scratchFolder()).path);
  checkout = join(folder, 'checkout');
  await mkdir(join(checkout, 'dist'), { recursive: true });
  await mkdir(join(checkout, 'empty'));
  await mkdir(join(folder, 'checkout-beside'));
  await writeFile(join(folder, 'checkout-beside/x'), '');
  await writeFile(join(checkout, 'dist/index.html'), '');
  await writeFile(join(checkout, 'dist/.dockerignore'), '*');
  for (const [name, target] of [
    ...[
      ['inside', 'dist'],
      ['out', '/etc'],
      ['up', '../..'],
      ['beside', '../checkout-beside'],
    ],
    ...[
      ['loop', 'loop'],
      ['a', 'b/x'],
      ['b', 'a/x'],
      ['void', 'nothing'],
      ['twice', 'out/ssh'],
    ],
  ])
    await symlink(target ?? '', join(checkout, name ?? ''));
});

afterAll(() => stack.disposeAsync());

const plan = (outputDir: string) => planStatic(checkout, { outputDir, baseImage: 'nginx:alpine' });

it.each(['dist', 'inside', './dist/', 'inside/.'])(
  'takes the folder %s, and all that is in it',
  async outputDir => {
    expect(await plan(outputDir)).toEqual({
      containerfile: readContainerfile('FROM nginx:alpine\nCOPY . /usr/share/nginx/html/\n'),
      context: join(checkout, 'dist'),
      ignore: '',
      buildArgs: {},
      runs: false,
    });
  },
);

it('may take the whole repository', async () => {
  expect(await plan('.')).toMatchObject({ context: checkout });
});

it.each([
  ['nothing', 'is not in the repository'],
  ['void', 'is not in the repository'],
  ['dist/index.html/x', 'is not in the repository'],
  ['dist/index.html', 'is not a folder'],
  ['empty', 'is empty'],
  ['out', 'leads out of the repository'],
  ['out/ssh', 'leads out of the repository'],
  ['up', 'leads out of the repository'],
  ['beside', 'leads out of the repository'],
  ['loop', 'is a symlink that leads to itself'],
  ['a', 'is a symlink that leads to itself'],
  ['x'.repeat(256), 'is too long a name'],
])('refuses %s', async (outputDir, why) => {
  await expect(plan(outputDir)).rejects.toMatchObject({
    code: 422,
    stage: 'stack',
    message: expect.stringMatching(`^static_cfg.output_dir: .*${why}`),
  });
});

it('renders a containerfile of two lines', () => {
  expect(staticContainerfile('docker.io/library/nginx:alpine')).toBe(
    'FROM docker.io/library/nginx:alpine\nCOPY . /usr/share/nginx/html/\n',
  );
});

it('renders two lines for every base image that a request may name', () => {
  fc.assert(
    fc.property(fc.string().filter(isImageReference), base => {
      expect(staticContainerfile(base).split('\n')).toHaveLength(3);
    }),
    { numRuns: 50 },
  );
});
