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

/** A build takes 10 s, more on a busy machine; concurrent callers wait for it. */
const timeoutMs = 240_000;

/**
 * Returns the installable package of this checkout, rebuilt when a source is newer. Among concurrent callers one
 * builds, and the others use its result.
 *
 * @returns path of the archive
 * @throws HarnessError with the output of the build
 */
export async function builtPackage(): Promise<string> {
  const [newest] = await builtProducts('archive', /^coold-\d.*\.tar\.gz$/);
  return newest;
}

/**
 * Returns the release assets of this checkout for all architectures, rebuilt when a source is newer.
 *
 * @returns the folder with the assets
 * @throws HarnessError with the output of the build
 */
export async function builtAssets(): Promise<string> {
  await builtProducts('assets', /^[a-z]+-linux-(amd64|arm64)\.tar\.gz$/);
  return dist;
}

/**
 * Returns the Debian packages of this checkout for this machine's architecture, rebuilt when a source is newer.
 *
 * @returns their paths by name: `coold` and `coold-broker`
 * @throws HarnessError with the output of the build
 */
export async function builtDebianPackages(): Promise<{ coold: string; broker: string }> {
  const paths = await builtProducts('deb', /^coold(-broker)?_.*\.deb$/);
  const named = (name: string) => paths.find(path => path.startsWith(`${name}_`, dist.length + 1));
  const [coold, broker] = [named('coold'), named('coold-broker')];
  if (coold === undefined || broker === undefined) throw new HarnessError('a Debian package is missing');
  return { coold, broker };
}

type Kind = 'archive' | 'assets' | 'deb';

/** Paths of the products of a kind, the newest first. */
type Products = [string, ...string[]];

async function builtProducts(kind: Kind, names: RegExp): Promise<Products> {
  await mkdir(dist, { recursive: true });
  return await eventually(
    `the ${kind} to be built`,
    async () => {
      const lock = await acquireFileLock(join(dist, '.lock'));
      if (lock === undefined) return undefined;
      try {
        return (await fresh(names)) ?? (await build(kind, names));
      } finally {
        await lock.release();
      }
    },
    { timeoutMs, everyMs: 500 },
  );
}

async function fresh(names: RegExp): Promise<Products | undefined> {
  const there = await products(names);
  const oldest = there.at(-1);
  if (oldest === undefined || oldest.time <= (await youngestSource())) return undefined;
  return pathsOf(there);
}

async function build(kind: Kind, names: RegExp): Promise<Products> {
  const { code, stderr } = await runChild(
    process.execPath,
    [join(root, 'packaging/build.ts'), dist, `--${kind}`],
    { timeoutMs },
  );
  if (code !== 0)
    throw new HarnessError(
      `the package was not built: ${stderr.trim().split('\n').at(-1) ?? `exit ${code}`}`,
    );
  const built = pathsOf(await products(names));
  if (built === undefined) throw new HarnessError(`the build left no ${kind} in ${dist}`);
  return built;
}

interface Dated {
  path: string;
  time: number;
}

function pathsOf(dated: readonly Dated[]): Products | undefined {
  const [newest, ...older] = dated.map(({ path }) => path);
  return newest === undefined ? undefined : [newest, ...older];
}

async function products(wanted: RegExp): Promise<Dated[]> {
  const names = await readdir(dist).catch(() => []);
  const paths = names.filter(name => wanted.test(name)).map(name => join(dist, name));
  const dated = await Promise.all(paths.map(async path => ({ path, time: (await stat(path)).mtimeMs })));
  return dated.toSorted((a, b) => b.time - a.time);
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
