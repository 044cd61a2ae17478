import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '@coold/runtime/atomic-write';
import type { BuildErrorBody, Result } from './frames.ts';

/** How a build ended, with its exit code. */
export type Outcome =
  | { kind: 'result'; ok: Result; exit: 0 }
  | { kind: 'error'; err: BuildErrorBody; exit: 1 | 2 | 130 };

const fileNames = { result: 'result.json', error: 'error.json' };

/** Writes result.json or error.json atomically. @throws Error */
export async function writeOutcome(workDir: string, outcome: Outcome): Promise<void> {
  const content = outcome.kind === 'result' ? outcome.ok : outcome.err;
  await writeFileAtomically(join(workDir, fileNames[outcome.kind]), `${JSON.stringify(content)}\n`, 0o600);
}

/** Returns the name of the outcome file that a work folder has already, undefined without one. A build has exactly one outcome. */
export async function outcomeFileIn(workDir: string): Promise<string | undefined> {
  for (const name of Object.values(fileNames)) {
    const there = await access(join(workDir, name)).then(
      () => true,
      () => false,
    );
    if (there) return name;
  }
  return undefined;
}
