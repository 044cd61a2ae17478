import type { Rule } from './rule.ts';

/** One rule to add or remove, and the places where that is still to be done. */
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

/** Returns the change that undoes a change. */
export function inverse(change: Change): Change {
  return { ...change, kind: change.kind === 'add' ? 'remove' : 'add' };
}
