import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { HarnessError } from './provider.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const dist = join(root, 'dist');
const sources = ['packages', 'proto', 'packaging', 'systemd', 'pnpm-lock.yaml'];

/**
 * The installable package of this very checkout, built anew when a source is younger than it. Runs at once take turns.
 *
 * @returns path of the archive
 * @throws HarnessError with what the build said
 */
export async function builtPackage(): Promise<string> {
  const there = await newestArchive();
  if (there !== undefined && there.time > (await youngestSource())) return there.path;
  const build = [process.execPath, join(root, 'packaging/build.ts')];
  const lock = ['--timeout', '120', join(root, 'pnpm-workspace.yaml')];
  const { code, stderr } = await runChild('flock', [...lock, ...build], { timeoutMs: 240_000 });
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
