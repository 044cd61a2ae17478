import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root, with a trailing slash. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Folders that tools create, or that are local to one machine; they are not committed. */
const made = new Set(['node_modules', 'gen', 'dist', '__pycache__']);

/**
 * Returns every file of the repository as a path relative to its root, sorted. Folders whose name begins with a dot are
 * skipped: they are local or belong to tools.
 */
export function listFiles(): string[] {
  const found: string[] = [];
  const walk = (folder: string) => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isFile()) found.push(path);
      else if (entry.isDirectory() && !entry.name.startsWith('.') && !made.has(entry.name)) walk(path);
    }
  };
  walk('');
  return found.sort();
}

/**
 * Returns the pages that people read, as paths relative to the root: README.md and its neighbours, and everything in
 * docs/.
 */
export function listPages(files: readonly string[] = listFiles()): string[] {
  return files.filter(file => file.endsWith('.md') && (dirname(file) === '.' || file.startsWith('docs/')));
}
