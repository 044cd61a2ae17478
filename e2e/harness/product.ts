import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { acquireFileLock, runChild } from '@coold/runtime';
import { eventually } from './eventually.ts';
import { HarnessError } from './provider.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const dist = join(root, 'dist');
const sources = [
  'package.json',
  'LICENSE',
  'README.md',
  'packages',
  'proto',
  'packaging',
  'systemd',
  'pnpm-lock.yaml',
];

/** A build takes 10 s, more on a busy machine; others wait for it. */
const timeoutMs = 240_000;

/**
 * The installable package of this very checkout, built anew when a source is younger than it. Of several that ask at
 * once one builds, and the others take what it has built.
 *
 * @returns path of the archive
 * @throws HarnessError with what the build said
 */
export async function builtPackage(): Promise<string> {
  await mkdir(dist, { recursive: true });
  return await eventually(
    'the package to be built',
    async () => {
      const lock = await acquireFileLock(join(dist, '.lock'));
      if (lock === undefined) return undefined;
      try {
        return (await freshArchive()) ?? (await build());
      } finally {
        await lock.release();
      }
    },
    { timeoutMs, everyMs: 500 },
  );
}

async function freshArchive(): Promise<string | undefined> {
  const there = await newestArchive();
  return there !== undefined && there.time > (await youngestSource()) ? there.path : undefined;
}

async function build(): Promise<string> {
  const { code, stderr } = await runChild(process.execPath, [join(root, 'packaging/build.ts')], {
    timeoutMs,
  });
  if (code !== 0)
    throw new HarnessError(
      `the package was not built: ${stderr.trim().split('\n').at(-1) ?? `exit ${code}`}`,
    );
  const built = await newestArchive();
  if (built === undefined) throw new HarnessError(`the build left no archive in ${dist}`);
  return built.path;
}

async function newestArchive(): Promise<{ path: string; time: number } | undefined> {
  const names = await readdir(dist).catch(() => []);
  const archives = names.filter(name => name.endsWith('.tar.gz')).map(name => join(dist, name));
  const dated = await Promise.all(archives.map(async path => ({ path, time: (await stat(path)).mtimeMs })));
  return dated.toSorted((a, b) => b.time - a.time)[0];
}

async function youngestSource(): Promise<number> {
  const found = [
    '-type',
    'f',
    '-not',
    '-path',
    '*/node_modules/*',
    '-not',
    '-name',
    '*.test.ts',
    '-printf',
    '%T@\n',
  ];
  const { stdout } = await runChild('find', [...sources.map(name => join(root, name)), ...found], {
    timeoutMs: 20_000,
  });
  return Math.max(...stdout.trim().split('\n').map(Number)) * 1000;
}
