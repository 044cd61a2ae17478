import type { Rule } from './rule.ts';

/** One rule that comes or goes, and where: only places in which something has to be done for it are named. */
export interface Change {
  kind: 'add' | 'remove';
  rule: Rule;
  iptables: boolean;
  nft: boolean;
  /** Its element in the guard's sets. */
  guard: boolean;
  /** Both snapshots. */
  file: boolean;
}

/** What takes a change back. */
export function inverse(change: Change): Change {
  return { ...change, kind: change.kind === 'add' ? 'remove' : 'add' };
}
