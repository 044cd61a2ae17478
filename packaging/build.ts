// `npm run package [-- FOLDER] [--archive | --assets | --deb]`: FOLDER (dist/) gets coold-<version>-linux-<arch>.tar.gz, everything
// a host needs to run the programs, and the release assets that `coolify init` downloads, <program>-linux-<arch>.tar.gz.
// Debian packages of the same are made beside them. --archive, --assets and --deb make one of the three alone. SHA256SUMS and the
// bill of materials lie with them.
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Architecture, architectures, ownArchitecture } from './architectures.ts';
import { writeChecksums } from './checksums.ts';
import { debianPackages } from './debian/debian-packages.ts';
import { makeDebianPackage } from './debian/make-package.ts';
import { copyAll } from './placing.ts';
import { fillLib, type Made, makeBundles } from './release.ts';
import { makeReleaseAssets } from './release-assets.ts';
import { makeArchive } from './whole-archive.ts';

const root = dirname(import.meta.dirname);

const kinds = ['archive', 'assets', 'deb'] as const;
type Kind = (typeof kinds)[number];

interface Wanted {
  dist: string;
  wanted: readonly Kind[];
}

async function main({ dist, wanted }: Wanted): Promise<void> {
  await mkdir(dist, { recursive: true });
  const work = await mkdtemp(join(dist, '.package-'));
  try {
    const made = await makeBundles(root, work);
    const results: string[] = [];
    for (const kind of wanted) results.push(...(await makeProducts(kind, made, work)));
    for (const path of results) {
      const result = join(dist, basename(path));
      await rename(path, result);
      process.stdout.write(`${result} ${(await stat(result)).size} bytes\n`);
    }
    process.stdout.write(`${await writeChecksums(dist)}\n`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function makeProducts(kind: Kind, made: Made, work: string): Promise<string[]> {
  switch (kind) {
    case 'archive':
      return await makeArchive(made, ownArchitecture(), work);
    case 'assets':
      return (await Promise.all(architectures.map(it => makeAssets(work, made, it)))).flat();
    case 'deb': {
      const folder = join(work, 'debian');
      const own = ownArchitecture();
      return await Promise.all(debianPackages.map(it => makeDebianPackage(made, own, it, folder)));
    }
  }
}

async function makeAssets(work: string, made: Made, architecture: Architecture): Promise<string[]> {
  const folder = join(work, `release-${architecture.debian}`);
  const name = await fillLib(folder, made, architecture);
  // The unit that a build requires, and what makes /run/coolify: a host that gets the assets alone has them from nowhere else.
  const host = join(folder, 'host');
  await copyAll(join(root, 'systemd'), join(host, 'systemd/system'), /^coolify-build-net@\.service$/);
  await copyAll(join(root, 'systemd'), join(host, 'tmpfiles.d'), /^coolify\.conf$/);
  const { version, epoch } = made;
  return await makeReleaseAssets(root, { architecture, version, name, folder, epoch }, work);
}

function readArguments(args: string[]): Wanted {
  const flag = { type: 'boolean' } as const;
  const options = { archive: flag, assets: flag, deb: flag };
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const some = kinds.filter(kind => values[kind] === true);
  return { dist: resolve(positionals[0] ?? join(root, 'dist')), wanted: some.length === 0 ? kinds : some };
}

// Folders get their modes by it, and what is built does not depend on who builds it.
process.umask(0o022);
try {
  await main(readArguments(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`package: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
