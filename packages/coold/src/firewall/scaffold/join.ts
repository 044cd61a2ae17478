import { guardTable, joinedElements, localElements, localSubnets } from '../deny/guard.ts';
import {
  dnsRules,
  egressIn,
  egressRule,
  hookRule,
  hooksIn,
  joinedBeside,
  joinedMark,
  joinedNft,
  returnRule,
  tableText,
} from '../deny/scaffold.ts';
import { type Cidr, outermost, sorted } from '../rule/cidr.ts';
import { type HookedChains, hasHooks } from './hooks.ts';

/**
 * Returns input for `iptables-restore --noflush` that makes exactly these subnets the joined ones of an existing
 * scaffold. Empty when they are already, or when there is no scaffold.
 */
export function joinIptables(
  joined: readonly Cidr[],
  { forward, postrouting, input }: HookedChains & { input: readonly string[] },
): string {
  if (!hasHooks(forward)) return '';
  const hooks = hooksIn(forward);
  const of = (wanted: 'configured' | 'joined') =>
    hooks.flatMap(({ network, kind }) => (kind === wanted ? [network] : []));
  const wanted = joinedBeside(of('configured'), joined);
  const come = wanted.filter(subnet => !of('joined').includes(subnet));
  const go = of('joined').filter(subnet => !wanted.includes(subnet));
  const hooked = new Set(hooks.map(({ network }) => network));
  const returns = postrouting.flatMap(line => {
    const [, network = '', wgInterface = ''] =
      /^-A POSTROUTING -s (\S+) -o (\S+) -j RETURN$/.exec(line) ?? [];
    return hooked.has(network) ? [{ network, wgInterface }] : [];
  });
  // The mesh's interface is the one in the other RETURN rules.
  const wgInterface = returns[0]?.wgInterface;
  const outer = outermost(joined);
  const egress = egressIn(forward);
  // After the last hook; rules of other programs may stand between the hooks.
  const gone = go.map(subnet => `-A FORWARD ${hookRule(subnet, 'joined')}`);
  const kept = forward.filter(line => line.startsWith('-A FORWARD ') && !gone.includes(line));
  const lastHook = come.length + kept.findLastIndex(line => hooksIn([line]).length > 0) + 2;
  const filter = [
    ...go.map(subnet => `-D FORWARD ${hookRule(subnet, 'joined')}`),
    ...come.map(subnet => `-I FORWARD 1 ${hookRule(subnet, 'joined')}`),
    ...egress
      .filter(({ kind, subnet }) => kind === 'joined' && !outer.includes(subnet))
      .map(({ subnet }) => `-D FORWARD ${egressRule(subnet, 'joined')}`),
    ...outer
      .filter(subnet => !egress.some(there => there.kind === 'joined' && there.subnet === subnet))
      .map(subnet => `-I FORWARD ${lastHook} ${egressRule(subnet, 'joined')}`),
    ...go.flatMap(dnsRules).flatMap(rule => (input.includes(`-A INPUT ${rule}`) ? [`-D INPUT ${rule}`] : [])),
    ...come.flatMap(dnsRules).map(rule => `-I INPUT 1 ${rule}`),
  ];
  const nat = [
    ...returns
      .filter(({ network }) => go.includes(network))
      .map(one => `-D POSTROUTING ${returnRule(one.network, one.wgInterface)}`),
    ...(wgInterface === undefined
      ? []
      : come.map(subnet => `-I POSTROUTING 1 ${returnRule(subnet, wgInterface)}`)),
  ];
  return [...tableText('filter', filter), ...tableText('nat', nat)].map(line => `${line}\n`).join('');
}

/** A rule of the scaffold's chains in the bridged plane, with what it tells about joined subnets. */
export interface MarkedRule {
  chain: string;
  handle: number;
  comment: string;
}

/**
 * Returns input for `nft -f` that makes exactly these subnets the joined ones in the bridged plane; empty when they
 * are.
 *
 * @param chains 'both' where this host recognises replies from their packets
 */
export function joinNft(
  joined: readonly Cidr[],
  rules: readonly MarkedRule[],
  chains: 'forward' | 'both',
): string {
  const wanted = outermost(joined);
  const marked = rules.filter(({ comment }) => comment.startsWith(`${joinedMark}:`));
  const of = (subnet: Cidr) => marked.filter(({ comment }) => comment === `${joinedMark}:${subnet}`);
  const isWhole = (subnet: Cidr) => of(subnet).length === joinedNft(subnet, chains).length;
  const kept = new Set(wanted.filter(isWhole).map(subnet => `${joinedMark}:${subnet}`));
  return [
    ...marked
      .filter(({ comment }) => !kept.has(comment))
      .map(({ chain, handle }) => `delete rule bridge coolify_bridge ${chain} handle ${handle}`),
    ...wanted.filter(subnet => !isWhole(subnet)).flatMap(subnet => joinedNft(subnet, chains)),
  ]
    .map(line => `${line}\n`)
    .join('');
}

/** An element of the guard's set of container subnets. */
export interface LocalElement {
  network: Cidr;
  isJoined: boolean;
}

/** Returns input for `nft -f` that makes exactly these subnets the joined ones in the guard; empty when they are. */
export function joinGuard(joined: readonly Cidr[], elements: readonly LocalElement[]): string {
  const of = (isJoined: boolean) =>
    elements.flatMap(element => (element.isJoined === isJoined ? [element.network] : []));
  const configured = of(false);
  if (sorted(of(true)).join() === joinedElements(configured, joined).join()) return '';
  const set = `${guardTable} ${localSubnets}`;
  const wanted = localElements(configured, joined);
  return [`flush set ${set}`, ...(wanted.length === 0 ? [] : [`add element ${set} { ${wanted.join(', ')} }`])]
    .map(line => `${line}\n`)
    .join('');
}
