import type { Change } from './change.ts';
import type { Mirror, Place } from './mirror.ts';
import type { Rule } from './rule.ts';

/** What is left to do of some changes, plane by plane. */
export interface Outstanding {
  iptablesAdd: Rule[];
  nftAdd: Rule[];
  /** Where the rules stand that are to go. */
  iptables: Place[];
  nft: Place[];
}

/** Compares some changes with what stands. Pure. @param nft undefined: there is no bridged plane */
export function outstanding(
  changes: readonly Change[],
  iptables: Mirror,
  nft: Mirror | undefined,
): Outstanding {
  const left: Outstanding = { iptablesAdd: [], nftAdd: [], iptables: [], nft: [] };
  for (const change of changes) {
    const { rule } = change;
    const routed = change.iptables ? iptables : undefined;
    const bridged = change.nft ? nft : undefined;
    if (change.kind === 'add') {
      if (routed?.has(rule.id) === false) left.iptablesAdd.push(rule);
      if (bridged?.has(rule.id) === false) left.nftAdd.push(rule);
    } else {
      left.iptables.push(...(routed?.rules.get(rule.id)?.places ?? []));
      left.nft.push(...(bridged?.rules.get(rule.id)?.places ?? []));
    }
  }
  return left;
}
