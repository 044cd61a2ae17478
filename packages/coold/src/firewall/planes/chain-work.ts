import type { Change } from '../rule/change.ts';
import type { Rule } from '../rule/rule.ts';
import type { Mirror, Place } from './mirror.ts';

/** What remains to be done in a chain for some changes. */
export interface ChainWork {
  add: readonly Rule[];
  /** The places of the rules to remove. */
  remove: readonly Place[];
  /**
   * Defined when so many rules are removed that the chain is emptied and filled with these rules in one transaction,
   * because the kernel searches the whole chain for each rule it deletes. The rules' counters start again at zero.
   */
  anew: readonly Rule[] | undefined;
}

/**
 * When at least one in this many rules is removed, writing the chain again is quicker than deleting; measured at 20,000
 * rules.
 */
const shareForAnew = 16;

/**
 * Compares some changes with the chain's content. Pure.
 *
 * @param many fewer removals than this are always deleted one by one
 */
export function chainWork(
  changes: readonly Change[],
  plane: 'iptables' | 'nft',
  mirror: Mirror,
  many: number,
): ChainWork {
  const add: Rule[] = [];
  const remove: Place[] = [];
  const gone = new Set<string>();
  for (const change of changes) {
    if (!change[plane]) continue;
    const { id } = change.rule;
    const standing = mirror.rules.get(id);
    if (change.kind === 'add' && standing === undefined) add.push(change.rule);
    if (change.kind === 'remove' && standing !== undefined) {
      remove.push(...standing.places);
      gone.add(id);
    }
  }
  // Rules of other programs have an order of their own; a chain with such rules is not written again.
  const isAnew =
    gone.size >= many && gone.size * shareForAnew >= mirror.rules.size && mirror.foreign.size === 0;
  return { add, remove, anew: isAnew ? [...stay(mirror, gone), ...add] : undefined };
}

function* stay(mirror: Mirror, gone: ReadonlySet<string>): Generator<Rule> {
  for (const [id, { rule }] of mirror.rules) if (!gone.has(id)) yield rule;
}
