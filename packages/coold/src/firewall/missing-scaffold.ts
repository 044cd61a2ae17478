import { type Cidr, covers } from './cidr.ts';
import { localElements, renderGuard } from './guard.ts';
import { hooksIn, intraChain, type Present, renderIptables, renderNft, type Scaffold } from './scaffold.ts';

/** A chain of nftables, by its family, table and name, and how many rules it has. */
export type RuleCounts = ReadonlyMap<string, number>;

/** What the kernel has of the scaffold. */
export interface PresentScaffold {
  iptables: Present;
  /** Rules in each chain of the scaffold's tables but the allow chain; a chain that is missing is not named. */
  rules: RuleCounts;
  /** This host's container subnets, as the guard's set has them. */
  localSubnets: readonly Cidr[];
  /** Those of them that did not join. */
  configuredSubnets: readonly Cidr[];
}

/**
 * The networks that the kernel denies and the scaffold does not name, as when mesh.env was changed, or is being written, and
 * coolify-mesh-fw.service was not restarted since. Pure.
 */
export function deniedBeyond(
  { pools, subnets, joined }: Scaffold,
  { iptables, configuredSubnets }: PresentScaffold,
): { pools: Cidr[]; subnets: Cidr[] } {
  const hooked = hooksIn(iptables.filter).flatMap(({ network, kind }) =>
    kind === 'configured' ? [network] : [],
  );
  const beyond = (there: readonly Cidr[], named: readonly Cidr[]) =>
    there.filter(network => !named.some(one => covers(one, network)));
  return {
    pools: beyond(hooked, [...pools, ...subnets]),
    subnets: beyond(configuredSubnets, [...subnets, ...joined]),
  };
}

/** The chains of nftables that the scaffold is made of, by family, table and name. */
export function scaffoldChains(scaffold: Scaffold, conntrack: boolean): string[] {
  return [...renderedCounts(scaffold, conntrack).keys()];
}

/** A part of the scaffold that is not in the kernel, in words. */
export interface Missing {
  text: string;
  /** A whole chain, or the way to it: that nothing of coold's own ever takes out. */
  isWhole: boolean;
}

/**
 * What of the scaffold is not in the kernel; empty: all of it is. nft words a rule anew when it lists it, so rules
 * are counted; that something stands above the hooks in FORWARD is not said here. Pure.
 *
 * @param conntrack whether this kernel tracks bridged connections
 */
export function missingScaffold(scaffold: Scaffold, conntrack: boolean, present: PresentScaffold): Missing[] {
  const missing: Missing[] = [];
  const add = (text: string, isWhole = false) => void missing.push({ text, isWhole });
  if (renderIptables(scaffold, hooksFirst(present.iptables)) !== '') {
    const hasWay = present.iptables.filter.some(line => line.startsWith('-A FORWARD ') && isHook(line));
    if (hasWay) add('rules of the default deny in iptables');
    else add(`the way from FORWARD to ${intraChain} in iptables`, true);
  }
  for (const [chain, count] of renderedCounts(scaffold, conntrack)) {
    const there = present.rules.get(chain);
    if (there === undefined) add(`chain ${chain} of nftables`, true);
    else if (there !== count) add(`rules of chain ${chain} of nftables`);
  }
  const subnets = localElements(scaffold.subnets, scaffold.joined).map(withoutComment).sort();
  if (subnets.join() !== [...present.localSubnets].sort().join()) add('subnets of this host in the guard');
  return missing;
}

const withoutComment = (element: string) => element.split(' ')[0] ?? element;
const isHook = (line: string) => line.endsWith(` -j ${intraChain}`);

/** As it would be listed if nothing stood above what is ours. */
function hooksFirst({ filter, postrouting }: Present): Present {
  const first = (lines: readonly string[], isOurs: (line: string) => boolean) => [
    ...lines.filter(isOurs),
    ...lines.filter(line => !isOurs(line)),
  ];
  return {
    filter: first(filter, isHook),
    postrouting: first(postrouting, line => /^-A POSTROUTING -s \S+ -o \S+ -j RETURN$/.test(line)),
  };
}

function renderedCounts(scaffold: Scaffold, conntrack: boolean): Map<string, number> {
  const text = renderNft(scaffold, conntrack) + renderGuard(scaffold, []);
  const counts = new Map<string, number>();
  const gone = new Set<string>();
  for (const [, verb = '', chain = ''] of text.matchAll(/^(add|delete) chain (\S+ \S+ \S+)/gm)) {
    if (verb === 'delete') gone.add(chain);
    else counts.set(chain, 0);
  }
  for (const [, chain = ''] of text.matchAll(/^add rule (\S+ \S+ \S+) /gm))
    counts.set(chain, (counts.get(chain) ?? 0) + 1);
  for (const chain of gone) counts.delete(chain);
  // Only coold knows what belongs into it.
  counts.delete('bridge coolify_bridge coolify_allow');
  return counts;
}
