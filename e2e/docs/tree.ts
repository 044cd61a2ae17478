import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root, with a slash at its end. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Made by the tools, or local to one machine; nothing of it is committed. */
const made = new Set(['node_modules', 'gen', 'dist']);

/**
 * Every file of the repository, as a path below its root, sorted. Folders that begin with a dot are left out: they are
 * local or belong to tools.
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

/** The pages that people read, as paths below the root: README.md and its neighbours, and everything in docs/. */
export function listPages(files: readonly string[] = listFiles()): string[] {
  return files.filter(file => file.endsWith('.md') && (dirname(file) === '.' || file.startsWith('docs/')));
}
