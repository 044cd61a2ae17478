// Import this alone, so that `--version` loads nothing else of @coold/runtime.
import { useCompileCache } from './compile-cache.ts';

export interface Startable {
  name: string;
  version: string;
  /** What `--version` prints. */
  release: string;
  /** The folder of its main module. */
  folder: string;
  /** Imports the function that runs the program's commands. */
  load: () => Promise<(argv: string[], version: string) => Promise<number>>;
}

/** Runs a program and returns its exit code. `--version` is answered before anything else is loaded. */
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
