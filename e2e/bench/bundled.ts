import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleProgram } from '../../packaging/bundle.ts';
import { programs } from '../../packaging/programs.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Bundles coold and the broker as the package does: run from source, the code that strips their types would stay in
 * their memory.
 *
 * @returns the paths of their main modules in `folder`
 */
export async function bundled(folder: string): Promise<Record<'broker' | 'coold', string>> {
  for (const program of programs) await bundleProgram(root, program, folder);
  return { broker: join(folder, 'broker.mjs'), coold: join(folder, 'coold.mjs') };
}
