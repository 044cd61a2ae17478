import { guardSets, isAllowed, withoutComment } from '../deny/guard-element.ts';
import { type GuardElements, GuardMirror, type GuardTable, guardTables } from './guard-mirror.ts';
import { elementLines, GuardWork } from './guard-work.ts';
import type { Look } from './look.ts';
import type { Plane } from './plane.ts';

export interface GuardPlane extends Plane {
  /** Undefined when no table of this host has the sets. */
  readonly elements: GuardElements | undefined;
}

/**
 * The guard's sets, with the same elements in each table that has the sets. An element has neither comment nor
 * namespace, so it stays while any rule needs it; whoever plans a change takes care of that.
 */
export function createGuardSets(): GuardPlane {
  const mirror = new GuardMirror();
  return {
    name: 'guard',
    program: 'nft',
    isAnnounced: true,
    get elements() {
      return mirror.standing.size === 0 ? undefined : mirror;
    },
    async read(look) {
      const { found, foreign } = await listTables(look);
      return () => mirror.adopt(found, foreign);
    },
    take: event => mirror.take(event),
    canRemove: () => true,
    plan(changes) {
      const work = new GuardWork(changes, mirror);
      const { adds, removes } = work;
      const script = { work: () => work.script(), isAnnounced: () => work.isAnnounced() };
      return {
        adds,
        removes,
        command: undefined,
        script: adds + removes > 0 ? script : undefined,
        expect() {},
        settle: () => work.settle(),
      };
    },
    trial: forms => ({
      command: undefined,
      script: [...mirror.standing.keys()].flatMap(table => [...elementLines('add', table, forms)]),
    }),
    hasVanished: rule => mirror.hasVanished(rule),
    isAnyVanished: () => mirror.isAnyVanished(),
    forgetVanished: () => mirror.forgetVanished(),
  };
}

/**
 * Lists the elements of each table that has all of the sets, and the elements that belong to no allow rule.
 *
 * @throws Error
 */
async function listTables(
  look: Look,
): Promise<{ found: Map<GuardTable, Set<string>>; foreign: readonly string[] }> {
  const found = new Map<GuardTable, Set<string>>();
  const foreign: string[] = [];
  const listed = await Promise.all(guardTables.map(table => listSets(look, table)));
  for (const [index, table] of guardTables.entries()) {
    const there = listed[index];
    if (there === undefined) continue;
    found.set(table, there.allowed);
    foreign.push(...there.foreign.map(element => `${table}: ${element}`));
  }
  return { found, foreign };
}

/** Lists the elements of one table's sets; undefined when it lacks one of the sets. @throws Error */
async function listSets(
  { table }: Look,
  place: GuardTable,
): Promise<{ allowed: Set<string>; foreign: string[] } | undefined> {
  const listing = await table(place);
  const allowed = new Set<string>();
  const foreign: string[] = [];
  for (const wanted of guardSets) {
    const listed = listing?.sets.get(wanted);
    if (listed === undefined) return undefined;
    for (const element of listed) {
      const bare = withoutComment(element);
      if (isAllowed(bare)) allowed.add(bare);
      else foreign.push(element);
    }
  }
  return { allowed, foreign };
}
