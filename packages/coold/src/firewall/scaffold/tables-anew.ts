import { guardTable, ownSets } from '../deny/guard.ts';
import type { TableText } from '../deny/table-text.ts';
import { bridgeChain, bridgeTable } from '../rule/nft-rule.ts';
import type { ScaffoldTables } from './reference-tables.ts';

/**
 * How the nftables tables are brought to the desired state: over the existing ones; with chains created again, since an
 * existing chain cannot be attached to another hook; or with tables created again, which empties the sets of allow
 * rules.
 */
export type TablesWay = 'over it' | 'chains anew' | 'tables anew';

/** The mildest first. */
export const tablesWays: readonly TablesWay[] = ['over it', 'chains anew', 'tables anew'];

/** Lines for `nft -f` that come first in the transaction that installs a table. */
export interface RemovedFirst {
  guard: string;
  bridge: string;
}

/** Returns what to remove first from the existing tables. Pure. */
export function removeFirst(way: TablesWay, { guard, bridge }: ScaffoldTables): RemovedFirst {
  return { guard: removed(way, guardTable, guard), bridge: removed(way, `bridge ${bridgeTable}`, bridge) };
}

function removed(way: TablesWay, place: string, table: TableText | undefined): string {
  if (table === undefined) return '';
  switch (way) {
    case 'over it':
      return '';
    case 'chains anew': {
      const names = (kind: string) =>
        [...table.parts.keys()].flatMap(part =>
          part.startsWith(`${kind} `) ? [part.slice(kind.length + 1)] : [],
        );
      const chains = names('chain').filter(name => name !== bridgeChain);
      const sets = names('set').filter(name => ownSets.some(own => own === name));
      return [
        // A chain cannot be deleted while rules jump to it, nor a set while rules use it.
        ...chains.map(name => `flush chain ${place} ${name}\n`),
        ...chains.map(name => `delete chain ${place} ${name}\n`),
        ...sets.map(name => `delete set ${place} ${name}\n`),
      ].join('');
    }
    case 'tables anew':
      return `delete table ${place}\n`;
  }
}
