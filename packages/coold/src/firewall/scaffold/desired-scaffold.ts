import { parseConfig, readRegularFile } from '@coold/runtime';
import { readEnvironmentText } from './environment-text.ts';
import { type ScaffoldConfig, scaffoldCommand } from './scaffold-command.ts';

/** The configuration of this host's default deny, from `mesh.env` (docs/contract.md §4). */
export type DesiredScaffold =
  /** The file does not exist or names no subnets: a permissive host. */
  | { kind: 'none' }
  | { kind: 'named'; scaffold: Omit<ScaffoldConfig, 'apply'> }
  /** The file exists and its content is invalid. */
  | { kind: 'unusable'; why: string };

const subnetsVariable = 'COOLD_SCAFFOLD_SUBNETS';
const poolsVariable = 'COOLD_SCAFFOLD_POOLS';

/** Reads the file that coolify-mesh-fw.service reads too. Never rejects. @param path of mesh.env */
export async function readDesiredScaffold(path: string): Promise<DesiredScaffold> {
  let text: string;
  try {
    text = await readRegularFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? { kind: 'none' } : { kind: 'unusable', why: message };
  }
  const env = Object.fromEntries(readEnvironmentText(text));
  // The unit decides it in the same way.
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
