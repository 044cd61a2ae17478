// Imported by itself, before anything else is loaded: what is loaded earlier is compiled each time.
import { existsSync } from 'node:fs';
import { enableCompileCache, flushCompileCache } from 'node:module';
import { join } from 'node:path';

/**
 * From now on, modules that are imported take their compiled code from the folder `compile-cache` beside the program, where an
 * installation has made one. Node compiles anew what is not there, what has changed, and what another kind of processor
 * compiled. A folder that cannot be written is only read.
 *
 * @param folder of the program's main module
 */
export function useCompileCache(folder: string): void {
  const directory = join(folder, 'compile-cache');
  // Portable: an installation fills the folder first and moves it to its place then.
  if (existsSync(directory)) enableCompileCache({ directory, portable: true });
}

/** Loads what the commands of a program load when they run, and writes its compiled code down. Returns the exit code. */
export async function fillCompileCache(loads: readonly (() => Promise<unknown>)[]): Promise<number> {
  for (const load of loads) await load();
  flushCompileCache();
  return 0;
}
