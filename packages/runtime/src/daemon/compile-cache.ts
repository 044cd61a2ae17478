// Import this alone and first: modules that are loaded before it are compiled at each start.
import { existsSync } from 'node:fs';
import { enableCompileCache, flushCompileCache } from 'node:module';
import { join } from 'node:path';

/**
 * Makes modules that are imported from now on use the compiled code in the folder `compile-cache` beside the program, if
 * an installation has created it. Node compiles modules that are missing there, have changed, or were compiled for
 * another kind of processor. A folder that cannot be written is only read.
 *
 * @param folder of the program's main module
 */
export function useCompileCache(folder: string): void {
  const directory = join(folder, 'compile-cache');
  // Portable, because an installation fills the folder and then moves it to its place.
  if (existsSync(directory)) enableCompileCache({ directory, portable: true });
}

/** Loads the modules of all commands, and stores their compiled code. Returns the exit code. */
export async function fillCompileCache(loads: readonly (() => Promise<unknown>)[]): Promise<number> {
  for (const load of loads) await load();
  flushCompileCache();
  return 0;
}
