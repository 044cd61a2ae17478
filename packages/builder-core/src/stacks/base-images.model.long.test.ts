// Whatever a containerfile is put together of, buildah itself finds nothing in it to build on but what was pinned, and
// nothing in a stage after its volumes.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '@coold/runtime/child';
import { scratchFolder, startPodman } from '@coold/testbed';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readContainerfile } from '../containerfile/parse.ts';
import { labelOf, readBaseImages } from './base-images.ts';

const rounds = 100;

const instructions = [
  ...['FROM other', 'FROM other', 'FROM other AS x', 'from\tother', 'FROM x', 'FROM $V', 'FR', 'OM other'],
  ...['VOLUME /v', 'VOLUME /v', 'VOL', 'UME /v'],
  ...[
    'LABEL a=b',
    'LABEL a=b',
    'ENV a=b',
    'ARG V=other',
    '# c',
    ' # c',
    '#escape=`',
    '# escape = \\',
    '<<EOF',
    'EOF',
  ],
];
const ends = [
  ...[
    '\n',
    '\n',
    '\n',
    '\n',
    '\r\n',
    '\\\n',
    '\\\n',
    '\\\\\n',
    '`\n',
    '``\n',
    '\\ \n',
    '\\\t\n',
    '\\\r\n',
    '\\\r\r\n',
  ],
  ...[
    '\\\u00a0\n',
    '\\\u0085\n',
    '\r',
    '\v',
    '\f',
    ' ',
    '\u2028',
    '\ufeff',
    '\ufeff\n',
    '\u0085',
    '\u00a0',
    '\0',
    '"',
  ],
];

/** The instructions that buildah says it executes. */
const stepsOf = (output: string) =>
  [...output.matchAll(/STEP \d+\/\d+: (\S+)/g)].map(([, name = '']) => name.toUpperCase());

it('is read as buildah reads it', async () => {
  await using stack = new AsyncDisposableStack();
  const { path: folder } = stack.use(await scratchFolder());
  const podman = stack.use(await startPodman(join(folder, 'podman')));
  const tiny = await podman.ensureTinyImage();
  const inside = async (script: string, ...args: string[]) => {
    const [program = '', ...rest] = [...podman.beside, 'sh', '-c', script, 'sh', ...args];
    const env = { PATH: process.env['PATH'], HOME: '/nowhere', ...podman.environment };
    return (await runChild(program, rest, { env, timeoutMs: 240_000, maxOutputBytes: 8 << 20 })).stdout;
  };
  const id = (await inside('buildah pull --quiet --policy=never "$1"', tiny)).trim();

  const pin = (text: string): string | undefined => {
    try {
      const bases = readBaseImages(readContainerfile(text), { buildArgs: {}, platform: 'linux/amd64' });
      return bases.pin(new Map(bases.images.map(image => [labelOf(image), { id }])));
    } catch {
      return undefined; // refused
    }
  };
  const piece = fc
    .tuple(fc.constantFrom(...instructions, ''), fc.constantFrom(...ends))
    .map(two => two.join(''));
  const first = fc.constantFrom(
    'FROM other\n',
    'FROM other\n',
    '\ufeffFROM other\n',
    '\ufeff',
    '#escape=`\n',
  );
  const files = fc
    .tuple(first, fc.array(piece, { minLength: 2, maxLength: 10 }))
    .map(([begin, pieces]) => pin(begin + pieces.join('')))
    .filter(text => /other|UME/.test(text ?? ''));
  const texts = fc.sample(files, rounds);
  for (const [at, text] of texts.entries()) await writeFile(join(folder, `file-${at}`), text ?? '');
  const build =
    'cd "$1" && mkdir context && for n in $(seq 0 "$2"); do echo "== $n"; buildah bud --pull=never --isolation=chroot -f "file-$n" context 2>&1; done';
  const said = (await inside(build, folder, String(rounds - 1))).split(/^== \d+$/m).slice(1);
  expect(said).toHaveLength(rounds);
  // What comes behind a stage's name without a space is part of it.
  const isPinned = new RegExp(`STEP \\d+/\\d+: FROM (?:${id}|x[\\w.-]*|scratch)(?: AS x[\\w.-]*)?$`);
  for (const [at, output] of said.entries())
    for (const line of output.split('\n').filter(text => /STEP \d+\/\d+: FROM/.test(text)))
      expect(line, JSON.stringify(texts[at])).toMatch(isPinned);
  for (const [at, output] of said.entries())
    expect(stepsOf(output).join(' '), JSON.stringify(texts[at])).not.toMatch(/VOLUME (?!VOLUME|FROM|$)/);
  // Most are built at least in part, or this would show nothing.
  expect(said.filter(output => output.includes(': FROM ')).length).toBeGreaterThan(rounds / 10);
  expect(said.some(output => output.includes(': VOLUME '))).toBe(true);
}, 300_000);
