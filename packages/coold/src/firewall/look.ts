import type { Listing } from './nft-listing.ts';
import { listPlace, type RunTool } from './nft-plane.ts';
import type { Rule, Standing } from './rule.ts';

/** One look at the kernel by all planes together: what two of them need is listed once, and a rule that stands in several is
 * one object. */
export interface Look {
  run: RunTool;
  /** What a table of nftables holds, by its family and name; undefined when it is not there. @throws Error */
  table(place: string): Promise<Listing | undefined>;
  /** The same standing, with the object of the rule that is known already. */
  share(standing: Standing): Standing;
}

/** @param known a rule that is in memory already, by its id */
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
      // Its id is that of everything else in it.
      const same = found.get(rule.id) ?? known(rule.id) ?? rule;
      found.set(rule.id, same);
      return same === rule ? standing : { kind: 'rule', rule: same };
    },
  };
}
