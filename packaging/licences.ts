import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The licence texts of the packages that the given files belong to, one after the other, by name. */
export async function licenceTexts(root: string, files: readonly string[]): Promise<string> {
  const folders = [...new Set(files.map(packageFolder).filter(folder => folder !== undefined))];
  const texts = await Promise.all(folders.map(folder => licenceOf(join(root, folder))));
  return [...new Set(texts)].sort().join('\n');
}

/** The innermost installed package that a file belongs to; undefined for files of our own. */
export function packageFolder(file: string): string | undefined {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0];
}

async function licenceOf(folder: string): Promise<string> {
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Record<
    string,
    unknown
  >;
  const title = `${manifest['name']} ${manifest['version']} (${manifest['license']})`;
  const files = (await readdir(folder)).filter(name => /^(licen[cs]e|copying|notice)/i.test(name)).sort();
  const texts = await Promise.all(files.map(name => readFile(join(folder, name), 'utf8').catch(() => '')));
  return [`==== ${title}`, ...texts.map(text => text.trim()), ''].join('\n');
}
