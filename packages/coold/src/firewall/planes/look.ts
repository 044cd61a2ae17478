import type { Rule, Standing } from '../rule/rule.ts';
import type { Listing } from './nft-listing.ts';
import { listPlace, type RunTool } from './nft-plane.ts';

/**
 * One listing of the kernel for all planes together: what two planes need is listed once, and a rule in several planes
 * is one object.
 */
export interface Look {
  run: RunTool;
  /** Lists a table of nftables, given by family and name; undefined when it does not exist. @throws Error */
  table(place: string): Promise<Listing | undefined>;
  /** Returns the same entry with the rule object that is known already. */
  share(standing: Standing): Standing;
}

/** @param known returns a rule that is in memory already, by its id */
export function createLook(run: RunTool, known: (id: string) => Rule | undefined = () => undefined): Look {
  const tables = new Map<string, Promise<Listing | undefined>>();
  const found = new Map<string, Rule>();
  return {
    run,
    table(place) {
      const listed = tables.get(place) ?? listPlace(run, 'table', place);
      tables.set(place, listed);
      return listed;
    },
    share(standing) {
      if (standing.kind === 'foreign') return standing;
      const { rule } = standing;
      // Equal ids mean equal rules.
      const same = found.get(rule.id) ?? known(rule.id) ?? rule;
      found.set(rule.id, same);
      return same === rule ? standing : { kind: 'rule', rule: same };
    },
  };
}
