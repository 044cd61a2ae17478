import { guardTable } from '../deny/guard.ts';
import { type ElementFlow, elementOf, guardSets, readElement } from '../deny/guard-element.ts';
import { bridgeTable } from '../rule/nft-rule.ts';
import type { Rule } from '../rule/rule.ts';
import type { NftEvent, SetPlace } from './monitor/nft-event.ts';
import type { Taken } from './plane.ts';

/** The tables that have the sets: the guard, and the bridged plane, which judges replies by them. */
export const guardTables = [guardTable, `bridge ${bridgeTable}`] as const;
export type GuardTable = (typeof guardTables)[number];

/** The elements of the guard's sets. */
export interface GuardElements {
  readonly size: number;
  /** Whether every table that has the sets contains the rule's element. */
  stands(rule: Rule): boolean;
  /** Returns the flow of each element, except the elements in `foreign`. */
  flows(): Iterable<ElementFlow>;
  /**
   * Returns elements that no allow rule can have, such as one for ICMP, as nft prints them. They allow what they name.
   */
  foreign(): readonly string[];
}

/** The elements of each table's sets, as last listed and followed since. */
export class GuardMirror implements GuardElements {
  /** The elements by table. Tables that lack one of the sets are left out. */
  #standing = new Map<GuardTable, Set<string>>();
  /** Elements that disappeared together with their set or table and have not been forgotten yet. */
  #vanished = new Set<string>();
  /** Known from listings only: an announcement that cannot be parsed causes a listing. */
  #foreign: readonly string[] = [];

  /** The tables that have the sets, with their elements. */
  get standing(): ReadonlyMap<GuardTable, Set<string>> {
    return this.#standing;
  }

  get size(): number {
    return Math.max(...[...this.#standing.values()].map(({ size }) => size));
  }

  stands(rule: Rule): boolean {
    return this.#standsEverywhere(elementOf(rule));
  }

  *flows(): Iterable<ElementFlow> {
    const seen = new Set<string>();
    for (const there of this.#standing.values())
      for (const element of there) {
        if (this.#standing.size > 1) {
          if (seen.has(element)) continue;
          seen.add(element);
        }
        const flow = readElement(element);
        if (flow !== undefined) yield flow;
      }
  }

  foreign(): readonly string[] {
    return this.#foreign;
  }

  /** Replaces what is known by a listing. @param foreign the elements that no allow rule can have */
  adopt(found: Map<GuardTable, Set<string>>, foreign: readonly string[]): void {
    for (const table of this.#standing.keys()) if (!found.has(table)) this.#vanish(table);
    [this.#standing, this.#foreign] = [found, foreign];
  }

  /** Applies an announcement of the kernel. */
  take(event: NftEvent): Taken {
    switch (event.kind) {
      case 'element added':
      case 'element deleted':
        return guardSets.some(name => name === event.set.set)
          ? this.#takeElement(event.kind, event.set, event.flow)
          : 'elsewhere';
      case 'gone': {
        const { family, table, name } = event.what;
        const gone = guardTables.find(one => one === `${family} ${table}`);
        if (gone === undefined) return 'elsewhere';
        if (name === undefined || guardSets.some(set => set === name)) this.#vanish(gone);
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
  }

  hasVanished(rule: Rule): boolean {
    return this.#vanished.has(elementOf(rule));
  }

  isAnyVanished(): boolean {
    return this.#vanished.size > 0;
  }

  /** Forgets what disappeared, unless a table or set of it is still missing. */
  forgetVanished(): void {
    if (this.#standing.size === guardTables.length) this.#vanished = new Set();
  }

  #standsEverywhere(element: string): boolean {
    for (const there of this.#standing.values()) if (!there.has(element)) return false;
    return this.#standing.size > 0;
  }

  /**
   * Records that a table's elements disappeared with it. Elements that another table lacked before are not among them.
   */
  #vanish(from: GuardTable): void {
    for (const element of this.#standing.get(from) ?? [])
      if (this.#standsEverywhere(element)) this.#vanished.add(element);
  }

  #takeElement(
    kind: 'element added' | 'element deleted',
    { family, table }: SetPlace,
    flow: ElementFlow | undefined,
  ): Taken {
    const place = guardTables.find(name => name === `${family} ${table}`);
    if (place === undefined) return 'elsewhere';
    const there = this.#standing.get(place);
    if (there === undefined || flow === undefined) return 'unclear';
    if (kind === 'element added') there.add(elementOf(flow));
    else there.delete(elementOf(flow));
    return 'taken';
  }
}
