// Imported by itself: what a program prints at once needs nothing else of @coold/runtime.
import { useCompileCache } from './compile-cache.ts';

export interface Startable {
  name: string;
  version: string;
  /** What `--version` prints: the version with what else tells builds apart. */
  release: string;
  /** Where its main module lies. */
  folder: string;
  /** Imports what runs the program's commands. */
  load: () => Promise<(argv: string[], version: string) => Promise<number>>;
}

/** Runs a program and returns its exit code. `--version` alone is answered before anything is loaded. */
export async function startProgram({ name, version, release, folder, load }: Startable): Promise<number> {
  const argv = process.argv.slice(2);
  if (argv.length === 1 && argv[0] === '--version') {
    process.stdout.write(`${name} ${release}\n`);
    return 0;
  }
  useCompileCache(folder);
  const run = await load();
  return run(argv, version);
}
