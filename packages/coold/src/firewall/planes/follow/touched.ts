import { guardName } from '../../deny/guard.ts';
import { bridgeTable } from '../../rule/nft-rule.ts';
import type { NftEvent } from '../monitor/nft-event.ts';

/**
 * How much of the default deny may have changed. Each value includes the one before: the iptables part; the nftables
 * chains and sets; the nftables tables, whose flags only a full listing shows.
 */
export type Touched = 'iptables' | 'chains' | 'tables';

const order: readonly Touched[] = ['iptables', 'chains', 'tables'];

export function more(one: Touched, other: Touched): Touched {
  return order.indexOf(one) < order.indexOf(other) ? other : one;
}

/** Returns what an event that concerns no allow rule may have changed; undefined for nothing. Pure. */
export function touchedBy(event: NftEvent): Touched | undefined {
  switch (event.kind) {
    case 'transaction':
    case 'caught up':
      return undefined;
    case 'elsewhere':
      return 'iptables';
    case 'rule added':
    case 'rule deleted':
      return [guardName, bridgeTable].includes(event.place.table) ? 'chains' : 'iptables';
    case 'element added':
    case 'element deleted':
      return 'chains';
    case 'structure':
      return event.object === 'table' ? 'tables' : 'chains';
    case 'gone':
      return event.what.name === undefined ? 'tables' : 'chains';
    case 'gap':
      return 'tables';
  }
}
