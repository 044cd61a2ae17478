import { readFile } from 'node:fs/promises';
import { parseConfig } from '@coold/runtime';
import { readEnvironmentText } from './environment-text.ts';
import { type ScaffoldConfig, scaffoldCommand } from './scaffold-command.ts';

/** What this host's default deny should be made of, as `mesh.env` says (docs/contract.md §4). */
export type DesiredScaffold =
  /** There is no such file, or it names no subnets: a permissive host. */
  | { kind: 'none' }
  | { kind: 'named'; scaffold: Omit<ScaffoldConfig, 'apply'> }
  /** There is one, and what it says cannot be used. */
  | { kind: 'unusable'; why: string };

const subnetsVariable = 'COOLD_SCAFFOLD_SUBNETS';
const poolsVariable = 'COOLD_SCAFFOLD_POOLS';

/** Reads the file that coolify-mesh-fw.service reads, too. Never rejects. @param path of mesh.env */
export async function readDesiredScaffold(path: string): Promise<DesiredScaffold> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? { kind: 'none' } : { kind: 'unusable', why: message };
  }
  const env = Object.fromEntries(readEnvironmentText(text));
  // As the unit decides it.
  if ((env[subnetsVariable] ?? '') === '')
    return (env[poolsVariable] ?? '') === ''
      ? { kind: 'none' }
      : {
          kind: 'unusable',
          why: `${path}: ${poolsVariable} is set and ${subnetsVariable} is not: nothing is denied`,
        };
  const parsed = parseConfig(scaffoldCommand, { argv: [], env, version: '' });
  if (parsed.kind === 'exit') return { kind: 'unusable', why: `${path}: ${parsed.text}` };
  const { apply: _, ...scaffold } = parsed.config;
  return { kind: 'named', scaffold };
}
