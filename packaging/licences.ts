import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** An installed package of which something is in what is built. */
export interface InstalledPackage {
  name: string;
  version: string;
  /** As its manifest has it: an SPDX expression. */
  licence: string;
  folder: string;
}

/** The packages that the given files belong to, by name; `files` are paths below the root. */
export async function packagesOf(root: string, files: readonly string[]): Promise<InstalledPackage[]> {
  const folders = [...new Set(files.map(packageFolder).filter(folder => folder !== undefined))];
  const all = await Promise.all(folders.map(folder => readManifest(join(root, folder))));
  const named = new Map(all.map(it => [`${it.name} ${it.version}`, it]));
  return [...named].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, it]) => it);
}

/** The licence texts of packages, one after the other. */
export async function licenceTexts(packages: readonly InstalledPackage[]): Promise<string> {
  return (await Promise.all(packages.map(licenceOf))).join('\n');
}

/** The innermost installed package that a file belongs to; undefined for files of our own. */
export function packageFolder(file: string): string | undefined {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0];
}

async function readManifest(folder: string): Promise<InstalledPackage> {
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Record<
    string,
    unknown
  >;
  const { name, version, license } = manifest;
  if (typeof name !== 'string' || typeof version !== 'string' || typeof license !== 'string')
    throw new Error(`${folder}/package.json: expected a name, a version and a licence`);
  return { name, version, licence: license, folder };
}

async function licenceOf({ name, version, licence, folder }: InstalledPackage): Promise<string> {
  const files = (await readdir(folder)).filter(it => /^(licen[cs]e|copying|notice)/i.test(it)).sort();
  const texts = await Promise.all(files.map(it => readFile(join(folder, it), 'utf8').catch(() => '')));
  return [`==== ${name} ${version} (${licence})`, ...texts.map(text => text.trim()), ''].join('\n');
}
