import { guardName } from '../deny/guard.ts';
import { allowedSets } from '../deny/judged-flows.ts';
import { bridgeChain, bridgeTable } from '../rule/nft-rule.ts';
import type { Place } from './kernel/rules.ts';
import type { Ruleset } from './packet/evaluate.ts';

/** The nf_tables chains that hold the allow rules. @param chainName the allow chain in iptables */
export function allowPlaces(chainName: string): (Place & { family: 'ip' | 'bridge' })[] {
  return [
    { family: 'ip', table: 'filter', chain: chainName },
    { family: 'bridge', table: bridgeTable, chain: bridgeChain },
  ];
}

/** Whether a chain holds the allow rules (docs/contract.md §4). @param chainName the allow chain in iptables */
export function isAllowChain({ family, table, chain }: Place, chainName: string): boolean {
  return (
    ((family === 'ip' || family === 'legacy') && table === 'filter' && chain === chainName) ||
    (family === 'bridge' && table === bridgeTable && chain === bridgeChain)
  );
}

const setNames: readonly string[] = Object.values(allowedSets);

/** Whether a set holds allow rules. */
export function isAllowedSet({ family, table }: Place, set: string): boolean {
  const isOurs = (family === 'inet' && table === guardName) || (family === 'bridge' && table === bridgeTable);
  return isOurs && setNames.includes(set);
}

/** Returns the ruleset as it would be with an additional allow rule for the packet. */
export function withAllowRule(ruleset: Ruleset, chainName: string): Ruleset {
  return {
    async rules(place, isTranslated) {
      const there = await ruleset.rules(place, isTranslated);
      if (!isAllowChain(place, chainName)) return there;
      return [
        ...there,
        {
          place,
          expressions: [{ kind: 'verdict', verdict: { kind: 'accept' } }],
          comment: 'the rule that is asked for',
        },
      ];
    },
    async lookUp(place, set, key) {
      return isAllowedSet(place, set) ? { answer: 'yes' } : ruleset.lookUp(place, set, key);
    },
  };
}
