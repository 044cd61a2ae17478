// The code map of docs/architecture.md: every folder that holds files, with its purpose from folders.txt.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { listFiles, root } from './tree.ts';

/** The file with the purposes, one line per folder: `folder: purpose`. */
export const purposesFile = 'folders.txt';

export interface CodeMap {
  /** Sorted by name. */
  folders: { folder: string; purpose: string }[];
  /** One line per disagreement between the tree and the purposes; each says how to fix it. */
  problems: string[];
}

/** Returns the map of this checkout. */
export function readCodeMap(): CodeMap {
  return mapFolders(listFiles(), readFileSync(join(root, purposesFile), 'utf8'));
}

/**
 * Joins the folders of `files` with the purposes in `text`. A package's `src` counts as the package itself. Pure.
 *
 * @param files paths relative to the repository's root
 */
export function mapFolders(files: readonly string[], text: string): CodeMap {
  const problems: string[] = [];
  const purposes = new Map<string, string>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '' || line.startsWith('#')) continue;
    const [, folder, purpose] = /^(\S+): (\S.*)$/.exec(line) ?? [];
    if (folder === undefined || purpose === undefined)
      problems.push(`${purposesFile}:${index + 1}: expected "folder: purpose", got ${JSON.stringify(line)}`);
    else if (purposes.has(folder))
      problems.push(`${purposesFile}:${index + 1}: ${folder} has a purpose already: remove one`);
    else purposes.set(folder, purpose);
  }
  const names = new Set(
    files.map(file => dirname(file).replace(/(^|\/)src$/, '')).filter(folder => folder !== '.'),
  );
  const folders: CodeMap['folders'] = [];
  for (const folder of [...names].sort()) {
    const purpose = purposes.get(folder);
    if (purpose === undefined)
      problems.push(`${folder}: has no purpose: add a line "${folder}: what it is for" to ${purposesFile}`);
    else folders.push({ folder, purpose });
  }
  for (const folder of purposes.keys())
    if (!names.has(folder))
      problems.push(`${purposesFile}: ${folder} does not exist or holds no files: remove its line`);
  return { folders, problems };
}
