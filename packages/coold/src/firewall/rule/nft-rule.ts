import type { ListedRule } from '../planes/nft-listing.ts';
import { commentOf, type Rule, recognise, type Standing } from './rule.ts';

/** The bridged plane (docs/contract.md §4). */
export const bridgeTable = 'coolify_bridge';
export const bridgeChain = 'coolify_allow';
export const bridgePlace = `bridge ${bridgeTable} ${bridgeChain}`;

/** Returns the rule as a line for `nft -f` (docs/contract.md §4). Only the comment needs quoting. */
export function nftLine(rule: Rule): string {
  const { src, dst, proto, port } = rule;
  const protocol = proto === '' ? '' : ` ip protocol ${proto}${port === 0 ? '' : ` th dport ${port}`}`;
  return `add rule ${bridgePlace} meta protocol ip ip saddr ${src} ip daddr ${dst}${protocol} accept comment "${commentOf(rule)}"`;
}

const linePattern = new RegExp(
  `^add rule ${bridgePlace} meta protocol ip ip saddr (\\S+) ip daddr (\\S+)(?: ip protocol (\\S+)(?: th dport (\\d+))?)? accept comment "([^"]*)"$`,
);

/** Parses a line of the snapshot; undefined when it is not exactly one of our rules. */
export function readNftLine(line: string): Rule | undefined {
  const [, src = '', dst = '', proto = '', port = '0', comment = ''] = linePattern.exec(line) ?? [];
  const rule = recognise({ src, dst, proto, port: Number(port), comment });
  return rule !== undefined && nftLine(rule) === line ? rule : undefined;
}

/** Classifies a rule listed in the bridged plane. */
export function standingOf({ flow, text }: Pick<ListedRule, 'flow' | 'text'>): Standing {
  const rule = flow === undefined ? undefined : recognise(flow);
  return rule === undefined ? { kind: 'foreign', text } : { kind: 'rule', rule };
}
