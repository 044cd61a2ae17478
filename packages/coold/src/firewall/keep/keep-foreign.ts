import { parseConfig } from '@coold/runtime';
import { guardTable } from '../deny/guard.ts';
import type { Scaffold } from '../deny/scaffold.ts';
import { listIptables, restoreIptables, runTool } from '../planes/iptables.ts';
import { retryChange } from '../planes/retry-change.ts';
import { applyGuard } from '../scaffold/apply-scaffold.ts';
import type { DesiredScaffold } from '../scaffold/desired-scaffold.ts';
import {
  type ForeignScaffold,
  isSwitchedOff,
  renderForeignBridge,
  renderForeignIptables,
} from '../scaffold/foreign-scaffold.ts';
import { readTables } from '../scaffold/read-scaffold.ts';
import { scaffoldCommand } from '../scaffold/scaffold-command.ts';

/** Returns the configuration of the guard beside a scaffold of `coolify init`: the defaults that mesh.env would have. */
export function guardBeside({ subnets }: ForeignScaffold): DesiredScaffold & { kind: 'named' } {
  const all = subnets.join(',');
  const env = { COOLD_SCAFFOLD_SUBNETS: all, COOLD_SCAFFOLD_POOLS: all };
  const parsed = parseConfig(scaffoldCommand, { argv: [], env, version: '' });
  if (parsed.kind === 'exit') throw new Error(parsed.text);
  const { apply: _, ...scaffold } = parsed.config;
  return { kind: 'named', scaffold };
}

/**
 * Restores the scaffold as the unit of `coolify init` would, and the guard beside it. A failure in one does not prevent
 * the other.
 *
 * @param first input that precedes the guard in its transaction
 * @throws Error naming what failed
 */
export async function applyForeign(foreign: ForeignScaffold, guard: Scaffold, first: string): Promise<void> {
  const planes = await Promise.allSettled([
    applyGuard(guard, first),
    retryChange(async () => restoreIptables(renderForeignIptables(foreign, await listIptables('filter')))),
    runTool('nft', ['-f', '-'], renderForeignBridge(foreign)),
  ]);
  for (const plane of planes) if (plane.status === 'rejected') throw plane.reason;
}

/** Removes hooks of our scaffold from FORWARD. @throws Error */
export async function removeLeftHooks(left: readonly string[]): Promise<void> {
  const lines = left.map(rule => `-D FORWARD ${rule}`);
  await restoreIptables(['*filter', ...lines, 'COMMIT', ''].join('\n'));
}

/**
 * Removes the guard when the CLI was told to deny nothing, because the guard would still deny what the CLI lets pass.
 *
 * @returns whether there was a guard
 * @throws Error
 */
export async function followSwitchOff(): Promise<boolean> {
  const { guard } = await readTables(false);
  if (guard === undefined || !isSwitchedOff(await listIptables('filter', 'FORWARD'), guard)) return false;
  await runTool('nft', ['delete', 'table', ...guardTable.split(' ')]);
  return true;
}
