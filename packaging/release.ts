import { createHash } from 'node:crypto';
import { chmod, cp, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import type { Architecture } from './architectures.ts';
import { bundleProgram } from './bundle.ts';
import { type InstalledPackage, licenceTexts, packagesOf } from './licences.ts';
import { placeNode } from './node-runtime.ts';
import { write } from './placing.ts';
import { type Program, programs } from './programs.ts';
import { readRevision } from './revision.ts';
import { billOfMaterials } from './sbom.ts';

/** What a release is made of on every kind of machine. */
export interface Made {
  root: string;
  version: string;
  commit: string;
  /** The time of every file, in seconds since 1970. */
  epoch: string;
  /** Holds the bundles of all programs and the licences' texts. */
  bundles: string;
  packages: readonly InstalledPackage[];
}

/** Bundles all programs into a folder below `work`. */
export async function makeBundles(root: string, work: string): Promise<Made> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const { commit, epoch } = await readRevision(root);
  const folder = join(work, 'bundles');
  await mkdir(folder);
  const bundles = await Promise.all(programs.map(program => bundleProgram(root, program, folder, commit)));
  for (const name of await readdir(folder)) await chmod(join(folder, name), 0o644);
  const packages = await packagesOf(
    root,
    bundles.flatMap(bundle => bundle.inputs),
  );
  await write(join(folder, 'LICENCES'), await licenceTexts(packages));
  await write(
    join(folder, 'LICENCE.libatomic'),
    'libatomic.so.1 is part of GCC: GNU General Public License 3 with the GCC Runtime Library Exception 3.1,\n' +
      'https://www.gnu.org/licenses/gcc-exception-3.1.html; its sources are those of the Debian package libatomic1.\n',
  );
  return { root, version, commit, epoch, bundles: folder, packages };
}

/**
 * Makes the folder that a host has below lib/coold, with the bundles of some programs or of all. Returns its name there: the
 * version and a hash, so that the same build installs onto itself, another never into a folder that is in use.
 */
export async function fillLib(
  lib: string,
  { root, version, bundles }: Made,
  architecture: Architecture,
  some: readonly Program[] = programs,
): Promise<string> {
  const others = programs.filter(program => !some.includes(program)).flatMap(bundleNames);
  await cp(bundles, lib, { recursive: true, filter: path => !others.some(name => name.test(path)) });
  await placeNode(root, architecture, lib);
  return `${version}-${(await digest(lib)).slice(0, 12)}`;
}

/** What the files of a program's bundle are called. */
function bundleNames({ name, threads = [] }: Program): RegExp[] {
  const threadNames = threads.map(path => path.replace(/^.*\/(.*)\.ts$/, '$1'));
  return [name, ...threadNames].map(it => new RegExp(`/${it}(?:-[A-Z0-9]{8})?\\.mjs$`));
}

/** The bill of materials of a release for one kind of machine. */
export async function writeSbom(made: Made, architecture: Architecture, path: string): Promise<void> {
  const read = (name: string) => readFile(join(made.root, name), 'utf8');
  const text = billOfMaterials({
    ...made,
    pnpmLock: await read('pnpm-lock.yaml'),
    toolchainLock: await read('toolchain/package-lock.json'),
    architecture: architecture.node,
    nodeVersions: process.versions,
    libatomic: await libatomicVersion(),
  });
  await write(path, text);
}

/** Of the Debian package that libatomic is copied from. */
async function libatomicVersion(): Promise<string> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own notation
  const query = ['-W', '-f=${Version}', 'libatomic1'];
  const { code, stdout } = await runChild('dpkg-query', query, { timeoutMs: 30_000 });
  return code === 0 ? stdout.trim() : 'unknown';
}

/** The licences of everything that is not ours, in one text: bundled packages, Node with its parts, libatomic. */
export async function thirdPartyLicences(lib: string): Promise<string> {
  const texts = ['LICENCES', 'LICENCE.nodejs', 'LICENCE.libatomic'].map(name =>
    readFile(join(lib, name), 'utf8'),
  );
  const [packages, node, libatomic] = await Promise.all(texts);
  return `${packages}\n==== Node.js and what is built into it\n${node}\n==== libatomic\n${libatomic}`;
}

async function digest(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of (await readdir(folder)).sort())
    hash.update(`${name}\0`).update(await readFile(join(folder, name)));
  return hash.digest('hex');
}
