import type { Change } from './change.ts';
import type { Rule } from './rule.ts';

/** Where a rule stands or does not. */
export interface Standings {
  iptables: { has(id: string): boolean };
  /** Undefined on a permissive host, which has no bridged plane (docs/contract.md §4). */
  nft: { has(id: string): boolean } | undefined;
  files: { has(id: string): boolean };
}

/**
 * What has to be done, and where, so that some rules stand and others do not. Pure.
 *
 * @param wanted by id; undefined: it is to go
 * @param find the rule of an id, where it is known at all; what nobody knows cannot go
 */
export function planChanges(
  wanted: ReadonlyMap<string, Rule | undefined>,
  { iptables, nft, files }: Standings,
  find: (id: string) => Rule | undefined,
): Change[] {
  const changes: Change[] = [];
  for (const [id, want] of wanted) {
    const rule = want ?? find(id);
    if (rule === undefined) continue;
    const stands = want !== undefined;
    const change: Change = {
      kind: stands ? 'add' : 'remove',
      rule,
      iptables: iptables.has(id) !== stands,
      nft: nft !== undefined && nft.has(id) !== stands,
      file: files.has(id) !== stands,
    };
    if (change.iptables || change.nft || change.file) changes.push(change);
  }
  return changes;
}
