import { elementOf, guardSetOf, guardSets } from '../deny/guard-element.ts';
import type { Change } from '../rule/change.ts';
import type { Rule } from '../rule/rule.ts';
import type { GuardMirror, GuardTable } from './guard-mirror.ts';

/** Elements per command of the transaction; nft splits the command for the kernel. */
const elementsAtOnce = 1000;

/**
 * What remains to be done in the guard's sets for some changes, table by table. One rule stands for all rules with its
 * element.
 */
export class GuardWork {
  /** The number of elements to add and to remove in all tables. */
  readonly adds: number;
  readonly removes: number;
  readonly #mirror: Pick<GuardMirror, 'standing'>;
  readonly #add = new Map<GuardTable, Rule[]>();
  readonly #remove = new Map<GuardTable, Rule[]>();

  /** @param mirror the elements of each table; announcements change it while the work is being done */
  constructor(changes: readonly Change[], mirror: Pick<GuardMirror, 'standing'>) {
    this.#mirror = mirror;
    const touched = changes.filter(({ guard }) => guard);
    for (const [table, there] of mirror.standing) {
      const left = touched.filter(({ kind, rule }) => there.has(elementOf(rule)) !== (kind === 'add'));
      const rulesOf = (wanted: Change['kind']) =>
        distinct(left.flatMap(({ kind, rule }) => (kind === wanted ? [rule] : [])));
      this.#add.set(table, rulesOf('add'));
      this.#remove.set(table, rulesOf('remove'));
    }
    this.adds = total(this.#add);
    this.removes = total(this.#remove);
  }

  /** Yields the lines for `nft -f`. */
  *script(): Generator<string> {
    for (const [table, rules] of this.#remove) yield* elementLines('delete', table, rules);
    for (const [table, rules] of this.#add) yield* elementLines('add', table, rules);
  }

  /** Whether the first change was announced in each table. */
  isAnnounced(): boolean {
    return [...this.#mirror.standing].every(([table, there]) => {
      const [removed] = this.#remove.get(table) ?? [];
      const [added] = this.#add.get(table) ?? [];
      if (removed !== undefined) return !there.has(elementOf(removed));
      return added === undefined || there.has(elementOf(added));
    });
  }

  /** Records the work as done, even when not all of it was announced. */
  settle(): void {
    for (const [table, there] of this.#mirror.standing) {
      for (const rule of this.#remove.get(table) ?? []) there.delete(elementOf(rule));
      for (const rule of this.#add.get(table) ?? []) there.add(elementOf(rule));
    }
  }
}

/** Yields lines for `nft -f` that add or delete the elements of some rules in one table. */
export function* elementLines(
  verb: 'add' | 'delete',
  table: string,
  rules: readonly Rule[],
): Generator<string> {
  for (const set of guardSets) {
    const inSet = rules.filter(rule => guardSetOf(rule) === set);
    for (let at = 0; at < inSet.length; at += elementsAtOnce) {
      const some = inSet.slice(at, at + elementsAtOnce).map(elementOf);
      yield `${verb} element ${table} ${set} { ${some.join(', ')} }\n`;
    }
  }
}

/** One rule for each element. */
function distinct(rules: readonly Rule[]): Rule[] {
  return rules.length < 2 ? [...rules] : [...new Map(rules.map(rule => [elementOf(rule), rule])).values()];
}

function total(byTable: ReadonlyMap<GuardTable, readonly Rule[]>): number {
  return [...byTable.values()].reduce((sum, { length }) => sum + length, 0);
}
