import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Script } from '@coold/testbed';
import { bundleProgram } from '../../packaging/bundle.ts';
import { programs } from '../../packaging/programs.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * coold and the broker as the package has them and starts them: from source, what strips their types stays in their
 * memory.
 *
 * @param folder where their main modules go
 */
export async function bundled(folder: string): Promise<Record<'broker' | 'coold', Script>> {
  const script = async (wanted: string): Promise<Script> => {
    const program = programs.find(({ name }) => name === wanted);
    if (program === undefined) throw new Error(`the package has no ${wanted}`);
    await bundleProgram(root, program, folder);
    return { path: join(folder, `${wanted}.mjs`), nodeFlags: program.nodeFlags };
  };
  return { broker: await script('broker'), coold: await script('coold') };
}
