import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleProgram } from '../../packaging/bundle.ts';
import { programs } from '../../packaging/programs.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * coold and the broker as the package has them: from source, what strips their types stays in their memory.
 *
 * @returns their main modules, in `folder`
 */
export async function bundled(folder: string): Promise<Record<'broker' | 'coold', string>> {
  for (const program of programs) await bundleProgram(root, program, folder);
  return { broker: join(folder, 'broker.mjs'), coold: join(folder, 'coold.mjs') };
}
