import { guardTable } from '../guard.ts';
import { type ElementFlow, elementOf, guardSetOf, guardSets, readElement } from '../guard-element.ts';
import type { Look } from '../look.ts';
import { bridgeTable } from '../nft-rule.ts';
import type { Rule } from '../rule.ts';
import type { Plane, Taken } from './plane.ts';

export interface GuardPlane extends Plane {
  /** Undefined: no table of this host has the sets. */
  readonly elements: GuardElements | undefined;
}

/** What stands in the guard's sets. */
export interface GuardElements {
  readonly size: number;
  stands(rule: Rule): boolean;
  /** The flow of each element; of those that are none of an allow rule nothing is known but that they are not. */
  flows(): Iterable<ElementFlow>;
}

/** The tables that have the sets: the guard itself, and the bridged plane, which judges replies by them. */
const tables = [guardTable, `bridge ${bridgeTable}`] as const;
type Table = (typeof tables)[number];

/** In one command of the transaction; nft splits it for the kernel. */
const elementsAtOnce = 1000;

/**
 * The guard's sets: the same elements in each table that has the sets. An element has no comment and no namespace, so it
 * stands while one rule that has it does; the plan of a change knows that, not this file.
 */
export function createGuardSets(): GuardPlane {
  /** Of each table what stands in its sets. */
  let standing = new Map<Table, Set<string>>();
  let vanished = new Set<string>();

  const standsEverywhere = (element: string) => {
    for (const there of standing.values()) if (!there.has(element)) return false;
    return standing.size > 0;
  };

  const elements: GuardElements = {
    get size() {
      return Math.max(...[...standing.values()].map(({ size }) => size));
    },
    stands: rule => standsEverywhere(elementOf(rule)),
    *flows() {
      const seen = new Set<string>();
      for (const there of standing.values())
        for (const element of there) {
          if (standing.size > 1 && seen.has(element)) continue;
          if (standing.size > 1) seen.add(element);
          const flow = readElement(element);
          if (flow !== undefined) yield flow;
        }
    },
  };

  /** What was missing in one table before did not go with it. */
  function vanish(from: Table): void {
    for (const element of standing.get(from) ?? []) if (standsEverywhere(element)) vanished.add(element);
  }

  function takeElement(
    { family, table }: { family: string; table: string },
    flow: ElementFlow | undefined,
    change: (there: Set<string>, element: string) => void,
  ): Taken {
    const found = tables.find(name => name === `${family} ${table}`);
    const there = found === undefined ? undefined : standing.get(found);
    if (there === undefined) return found === undefined ? 'elsewhere' : 'unclear';
    if (flow === undefined) return 'unclear';
    change(there, elementOf(flow));
    return 'taken';
  }

  return {
    name: 'guard',
    program: 'nft',
    isAnnounced: true,
    get elements() {
      return standing.size === 0 ? undefined : elements;
    },
    async read(look) {
      const found = new Map<Table, Set<string>>();
      const listed = await Promise.all(tables.map(table => listSets(look, table)));
      for (const [index, table] of tables.entries()) {
        const there = listed[index];
        if (there !== undefined) found.set(table, there);
      }
      return () => {
        for (const table of standing.keys()) if (!found.has(table)) vanish(table);
        standing = found;
      };
    },
    take(event) {
      switch (event.kind) {
        case 'element added':
        case 'element deleted': {
          if (!guardSets.some(name => name === event.set.set)) return 'elsewhere';
          return takeElement(event.set, event.flow, (there, element) =>
            event.kind === 'element added' ? there.add(element) : there.delete(element),
          );
        }
        case 'gone': {
          const { family, table, name } = event.what;
          const found = tables.find(one => one === `${family} ${table}`);
          if (found === undefined) return 'elsewhere';
          if (name === undefined || guardSets.some(set => set === name)) vanish(found);
          return 'unclear';
        }
        case 'gap':
        case 'structure':
          return 'unclear';
        case 'rule added':
        case 'rule deleted':
        case 'transaction':
        case 'elsewhere':
        case 'caught up':
          return 'elsewhere';
      }
    },
    canRemove: () => true,
    plan(changes) {
      const add = new Map<Table, Rule[]>();
      const remove = new Map<Table, Rule[]>();
      let adds = 0;
      let removes = 0;
      const touched = changes.filter(({ guard }) => guard);
      for (const [table, there] of standing) {
        const left = touched.filter(({ kind, rule }) => there.has(elementOf(rule)) !== (kind === 'add'));
        add.set(table, distinct(left.flatMap(({ kind, rule }) => (kind === 'add' ? [rule] : []))));
        remove.set(table, distinct(left.flatMap(({ kind, rule }) => (kind === 'remove' ? [rule] : []))));
        adds += add.get(table)?.length ?? 0;
        removes += remove.get(table)?.length ?? 0;
      }
      function* script(): Generator<string> {
        for (const [table, rules] of remove) yield* elementLines('delete', table, rules);
        for (const [table, rules] of add) yield* elementLines('add', table, rules);
      }
      const isDone = (table: Table) => {
        const there = standing.get(table);
        const [removed] = remove.get(table) ?? [];
        const [added] = add.get(table) ?? [];
        if (there === undefined) return false;
        if (removed !== undefined) return !there.has(elementOf(removed));
        return added === undefined || there.has(elementOf(added));
      };
      return {
        ...{ adds, removes, command: undefined },
        script:
          adds + removes > 0
            ? { work: script, isAnnounced: () => [...standing.keys()].every(isDone) }
            : undefined,
        expect() {},
        settle() {
          for (const [table, there] of standing) {
            for (const rule of remove.get(table) ?? []) there.delete(elementOf(rule));
            for (const rule of add.get(table) ?? []) there.add(elementOf(rule));
          }
        },
      };
    },
    trial: forms => ({
      command: undefined,
      script: [...standing.keys()].flatMap(table => [...elementLines('add', table, forms)]),
    }),
    hasVanished: rule => vanished.has(elementOf(rule)),
    isAnyVanished: () => vanished.size > 0,
    forgetVanished() {
      vanished = new Set();
    },
  };
}

/** The elements of a table's sets; undefined when it has not all of them. @throws Error */
async function listSets({ table }: Look, place: Table): Promise<Set<string> | undefined> {
  const listing = await table(place);
  const elements = new Set<string>();
  for (const wanted of guardSets) {
    const listed = listing?.sets.get(wanted);
    if (listed === undefined) return undefined;
    for (const element of listed) elements.add(element);
  }
  return elements;
}

/** Lines for `nft -f` that add or delete the elements of some rules in one table. */
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
