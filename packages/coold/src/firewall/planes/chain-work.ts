import type { Change } from '../change.ts';
import type { Mirror, Place } from '../mirror.ts';
import type { Rule } from '../rule.ts';

/** What is left to do of some changes in a chain. */
export interface ChainWork {
  add: readonly Rule[];
  /** Where the rules stand that are to go. */
  remove: readonly Place[];
  /**
   * Defined: so many go that the chain is emptied and filled with these in one transaction, since the kernel searches the
   * whole chain for each rule that is deleted. Their counters begin anew.
   */
  anew: readonly Rule[] | undefined;
}

/** One of so many rules of a chain, from which on writing it anew is quicker than deleting; measured at 20,000. */
const shareForAnew = 16;

/** Compares some changes with what stands in a chain. Pure. @param many fewer rules that go are always deleted */
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
  // What others put in has an order of its own, and is left where it is.
  const isAnew =
    gone.size >= many && gone.size * shareForAnew >= mirror.rules.size && mirror.foreign.size === 0;
  return { add, remove, anew: isAnew ? [...stay(mirror, gone), ...add] : undefined };
}

function* stay(mirror: Mirror, gone: ReadonlySet<string>): Generator<Rule> {
  for (const [id, { rule }] of mirror.rules) if (!gone.has(id)) yield rule;
}
