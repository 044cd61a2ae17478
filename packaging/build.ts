// `npm run package [-- FOLDER]`: FOLDER (dist/) gets coold-<version>-linux-<arch>.tar.gz, everything a host needs to run
// the programs.
import { createHash } from 'node:crypto';
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { brokerCommand } from '@coold/broker/config';
import { cooldCommand } from '@coold/coold/config';
import { scaffoldCommand } from '@coold/coold/scaffold-command';
import { runChild } from '@coold/runtime';
import { bundleProgram } from './bundle.ts';
import { environmentFile } from './environment-file.ts';
import { licenceTexts } from './licences.ts';
import { placeNode } from './node-runtime.ts';
import { programs } from './programs.ts';

const root = dirname(import.meta.dirname);

async function main(dist: string): Promise<void> {
  const version = await versionOf('package.json');
  for (const { name, entry } of programs) {
    const own = await versionOf(join(dirname(dirname(entry)), 'package.json'));
    if (own !== version) throw new Error(`${name} is version ${own}, the workspace ${version}`);
  }
  await mkdir(dist, { recursive: true });
  const work = await mkdtemp(join(dist, '.package-'));
  try {
    const name = `coold-${version}-linux-${process.arch}`;
    const folder = join(work, name);
    await fill(folder, version);
    const archive = join(work, `${name}.tar.gz`);
    await pack(folder, archive);
    const result = join(dist, basename(archive));
    await rename(archive, result);
    process.stdout.write(`${result} ${(await stat(result)).size} bytes\n`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function fill(folder: string, version: string): Promise<void> {
  const lib = join(folder, 'lib');
  await mkdir(lib, { recursive: true });
  const bundles = await Promise.all(programs.map(program => bundleProgram(root, program, lib)));
  for (const name of await readdir(lib)) await chmod(join(lib, name), 0o644);
  await placeNode(lib);
  await write(
    join(lib, 'LICENCES'),
    await licenceTexts(
      root,
      bundles.flatMap(bundle => bundle.inputs),
    ),
  );
  await copyFile(await nodeLicence(), join(lib, 'LICENCE.nodejs'));
  await write(
    join(lib, 'LICENCE.libatomic'),
    'libatomic.so.1 is part of GCC: GNU General Public License 3 with the GCC Runtime Library Exception 3.1,\n' +
      'https://www.gnu.org/licenses/gcc-exception-3.1.html; its sources are those of the Debian package libatomic1.\n',
  );
  // Named by content: the same build installs onto itself, another never into a folder that is in use.
  await write(join(folder, 'RELEASE'), `${version}-${(await digest(lib)).slice(0, 12)}\n`);
  await write(join(folder, 'ARCH'), `${process.arch === 'x64' ? 'x86_64' : 'aarch64'}\n`);
  await write(join(folder, 'programs'), programs.map(({ name, role }) => `${name} ${role}\n`).join(''));
  await copyAll(join(root, 'systemd'), join(folder, 'systemd'), /\.service$|\.sh$/);
  await copyAll(join(root, 'packaging/corrosion'), join(folder, 'corrosion'), /\.sql$/);
  const etc = join(folder, 'etc');
  await mkdir(etc);
  await write(join(etc, 'coold.env'), environmentFile(cooldCommand));
  await write(join(etc, 'broker.env'), environmentFile(brokerCommand));
  await write(join(etc, 'mesh.env'), environmentFile(scaffoldCommand));
  for (const page of ['LICENSE', 'README.md']) {
    await copyFile(join(root, page), join(folder, page));
    await chmod(join(folder, page), 0o644);
  }
  await copyFile(join(root, 'packaging/install.sh'), join(folder, 'install.sh'));
  await chmod(join(folder, 'install.sh'), 0o755);
}

async function copyAll(from: string, to: string, wanted: RegExp): Promise<void> {
  await mkdir(to);
  for (const name of await readdir(from)) {
    if (!wanted.test(name)) continue;
    await copyFile(join(from, name), join(to, name));
    await chmod(join(to, name), name.endsWith('.sh') ? 0o755 : 0o644);
  }
}

async function write(path: string, content: string): Promise<void> {
  await writeFile(path, content);
  await chmod(path, 0o644);
}

async function digest(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of (await readdir(folder)).sort())
    hash.update(`${name}\0`).update(await readFile(join(folder, name)));
  return hash.digest('hex');
}

/** Beside Node's program, as its own package has it. */
async function nodeLicence(): Promise<string> {
  const home = dirname(dirname(process.execPath));
  const places = [home, join(home, 'node_modules', `node-linux-${process.arch}`)].map(at =>
    join(at, 'LICENSE'),
  );
  for (const place of places) {
    const found = await stat(place).catch(() => undefined);
    if (found?.isFile()) return place;
  }
  throw new Error(`Node's licence is not found: looked at ${places.join(' and ')}`);
}

async function versionOf(manifest: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(root, manifest), 'utf8')) as { version: string };
  return version;
}

/** The same files give the same archive. */
async function pack(folder: string, archive: string): Promise<void> {
  const epoch = process.env['SOURCE_DATE_EPOCH'] ?? '1767225600';
  if (!/^\d{1,12}$/.test(epoch))
    throw new Error(`SOURCE_DATE_EPOCH=${JSON.stringify(epoch)}: expected seconds`);
  const args = [
    ...['--sort=name', '--owner=0', '--group=0', '--numeric-owner', `--mtime=@${epoch}`],
    ...['--use-compress-program=gzip -n', '-C', dirname(folder), '-cf', archive, basename(folder)],
  ];
  const { code, stderr } = await runChild('tar', args, { timeoutMs: 300_000 });
  if (code !== 0) throw new Error(`tar: exit ${code}: ${stderr.trim()}`);
}

try {
  await main(resolve(process.argv[2] ?? join(root, 'dist')));
} catch (error) {
  process.stderr.write(`package: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
