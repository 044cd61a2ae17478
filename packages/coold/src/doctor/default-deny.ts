import { type Finding, fail, ok } from '@coold/runtime';
import { listIptables } from '../firewall/planes/iptables.ts';
import type { DesiredScaffold } from '../firewall/scaffold/desired-scaffold.ts';
import { hasHooks } from '../firewall/scaffold/hooks.ts';
import { readTables } from '../firewall/scaffold/read-scaffold.ts';
import { needRoot } from './host.ts';

/** Which parts of the default deny are in the kernel. coold itself judges whether each part is complete. */
export interface DenyPresent {
  hooks: boolean;
  guard: boolean;
  bridge: boolean;
}

/** Pure. */
export function judgeDeny(desired: DesiredScaffold, present: DenyPresent): Finding {
  if (desired.kind !== 'named') return ok('not asked: mesh.env names no subnets');
  const missing = [
    ...(present.hooks ? [] : ['the hooks in FORWARD']),
    ...(present.guard ? [] : ['the guard']),
    ...(present.bridge ? [] : ['the table of bridges']),
  ];
  return missing.length === 0
    ? ok('hooks, guard and table of bridges are in the kernel')
    : fail(`the kernel lacks ${missing.join(', ')}`, 'systemctl restart coolify-mesh-fw');
}

/** @throws Error when not root, or when a tool fails */
export async function readDeny(): Promise<DenyPresent> {
  needRoot();
  const [forward, { guard, bridge }] = await Promise.all([
    listIptables('filter', 'FORWARD'),
    readTables(false),
  ]);
  return { hooks: hasHooks(forward), guard: guard !== undefined, bridge: bridge !== undefined };
}
