import { apiPorts, guardTable, joinedElement, localSubnets, meshHosts, meshLinks } from '../deny/guard.ts';
import {
  egressIn,
  hooksIn,
  intraChain,
  joinedMark,
  meshBridges,
  type Present,
  renderIptables,
  type Scaffold,
} from '../deny/scaffold.ts';
import type { TableText } from '../deny/table-text.ts';
import { type Cidr, cidr, covers, outermost } from '../rule/cidr.ts';
import { bridgeTable } from '../rule/nft-rule.ts';
import type { ScaffoldTables } from './reference-tables.ts';

/** What the kernel has of the scaffold. */
export interface PresentScaffold {
  iptables: Present;
  tables: ScaffoldTables;
}

/** What the kernel denies although mesh.env does not name it. */
export type Beyond = Pick<Scaffold, 'pools' | 'subnets' | 'mgmtNetworks' | 'apiPorts'>;

/**
 * Returns what the kernel denies although the scaffold does not name it, for example when mesh.env was changed, or is
 * being written, and coolify-mesh-fw.service was not restarted since. Pure.
 */
export function deniedBeyond(scaffold: Scaffold, { iptables, tables }: PresentScaffold): Beyond {
  const { pools, subnets, joined, mgmtNetworks } = scaffold;
  const hooked = hooksIn(iptables.filter).flatMap(({ network, kind }) =>
    kind === 'configured' ? [network] : [],
  );
  const configured = linesOf(tables.guard, localSubnets).filter(line => !isJoined(line));
  const beyond = (there: readonly Cidr[], named: readonly Cidr[]) =>
    there.filter(network => !named.some(one => covers(one, network)));
  return {
    pools: beyond(hooked, [...pools, ...subnets]),
    subnets: beyond(configured.flatMap(readNetwork), [...subnets, ...joined]),
    mgmtNetworks: beyond(linesOf(tables.guard, meshHosts).flatMap(readNetwork), mgmtNetworks),
    apiPorts: linesOf(tables.guard, apiPorts)
      .filter(line => /^\d+$/.test(line))
      .map(Number)
      .filter(port => !scaffold.apiPorts.includes(port)),
  };
}

const linesOf = (table: TableText | undefined, set: string) => table?.parts.get(`set ${set}`) ?? [];

function readNetwork(line: string): Cidr[] {
  const [word = ''] = line.split(' ');
  const network = cidr.parse(word.includes('/') ? word : `${word}/32`);
  return network === undefined ? [] : [network];
}

/** A part of the scaffold that is missing or different in the kernel, described in words. */
export interface Deviation {
  text: string;
  /** False when it may be a subnet that is just joining or leaving, since no transaction covers all places. */
  isSure: boolean;
  /** Whether it is in an nftables table. */
  isOfTables: boolean;
}

/** Bridges named in nftables sets. They come and go with Podman's networks. */
export interface Links {
  /** The bridges that containers send through, and those that mesh containers send through. */
  wanted: Readonly<Record<LinkSet, readonly string[]>>;
  /** The bridges seen in each set. coold never removes them. */
  seen: Readonly<Record<LinkSet, readonly string[]>>;
  /** Every interface of this host. */
  interfaces: readonly string[];
}

const linkSets = ['guard', 'bridge'] as const;
/** Named after the table that contains it. */
export type LinkSet = (typeof linkSets)[number];
const setNames: Record<LinkSet, string> = { guard: meshLinks, bridge: meshBridges };

/**
 * Returns how the kernel deviates from the scaffold; empty when it does not. Rules above the hooks in FORWARD are not
 * reported here. Pure.
 *
 * @param reference the desired tables, as this host's nft prints them
 * @param unknownSets the guard's sets whose desired elements are unknown
 */
export function scaffoldDeviations(
  scaffold: Scaffold,
  { iptables, tables }: PresentScaffold,
  reference: ScaffoldTables,
  links: Links,
  unknownSets: readonly string[] = [],
): Deviation[] {
  return [
    ...routedDeviations(scaffold, iptables),
    ...guardDeviations({ iptables, tables }, reference, links, unknownSets),
    ...tableDeviations(`bridge ${bridgeTable}`, reference.bridge, tables.bridge, [meshBridges]),
    ...linkDeviations('bridge', tables.bridge, links),
  ];
}

/** Returns how the guard alone deviates, where the rest belongs to another scaffold. Pure. */
export function guardDeviations(
  { tables }: PresentScaffold,
  reference: ScaffoldTables,
  links: Links,
  unknownSets: readonly string[] = [],
): Deviation[] {
  return [
    // Bridges come and go, so they are compared separately.
    ...tableDeviations(guardTable, reference.guard, tables.guard, [meshLinks, ...unknownSets]),
    ...linkDeviations('guard', tables.guard, links),
  ];
}

function routedDeviations(scaffold: Scaffold, iptables: Present): Deviation[] {
  if (renderIptables(scaffold, hooksFirst(iptables)) === '') return [];
  if (!iptables.filter.some(line => line.startsWith('-A FORWARD ') && isHook(line)))
    return [{ text: `the way from FORWARD to ${intraChain} in iptables`, isSure: true, isOfTables: false }];
  const joined = egressIn(iptables.filter).flatMap(({ subnet, kind }) => (kind === 'joined' ? [subnet] : []));
  return [
    {
      text: 'rules of the default deny in iptables',
      isSure: joined.sort().join() === outermost(scaffold.joined).toSorted().join(),
      isOfTables: false,
    },
  ];
}

const isHook = (line: string) => line.endsWith(` -j ${intraChain}`);

/** Returns the listing as it would be if nothing stood above our rules. */
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

/** Other content of such a table cannot lead packets past ours, because a drop is final. */
function tableDeviations(
  place: string,
  wanted: TableText | undefined,
  present: TableText | undefined,
  uncompared: readonly string[] = [],
): Deviation[] {
  const isOfTables = true;
  if (wanted === undefined) return [];
  if (present === undefined) return [{ text: `table ${place} of nftables`, isSure: true, isOfTables }];
  const flags = present.head.filter(line => line.startsWith('flags '));
  const parts = [...wanted.parts].flatMap(([name, lines]) => {
    const there = present.parts.get(name);
    const [kind = '', word = ''] = name.split(' ');
    if (there === undefined)
      return [{ text: `${kind} ${place} ${word} of nftables`, isSure: true, isOfTables }];
    if (isSame(compared(name, lines, uncompared), compared(name, there, uncompared))) return [];
    const what = kind === 'set' ? 'elements of set' : 'rules of chain';
    return [
      {
        text: `${what} ${place} ${word} of nftables`,
        isSure: !isSame(lines.filter(isNotJoined), there.filter(isNotJoined)),
        isOfTables,
      },
    ];
  });
  return [
    ...flags.map(line => ({ text: `table ${place} of nftables: ${line}`, isSure: true, isOfTables })),
    ...parts,
  ];
}

/** Returns the lines of a part, without the elements of sets that are not compared. */
const compared = (name: string, lines: readonly string[], uncompared: readonly string[]) =>
  uncompared.some(set => name === `set ${set}`) ? lines.filter(line => !/^["\d]/.test(line)) : lines;

const isSame = (one: readonly string[], other: readonly string[]) => one.join('\n') === other.join('\n');
const isJoined = (line: string) => line.endsWith(` comment "${joinedElement}"`);
const isNotJoined = (line: string) => !line.includes(` comment "${joinedMark}`);

/** A set may name a bridge that is gone, but never an interface that is not a bridge. */
function linkDeviations(set: LinkSet, table: TableText | undefined, links: Links): Deviation[] {
  const there = linksIn(set, table);
  const wanted = links.wanted[set];
  const strange = there.filter(name => !wanted.includes(name) && links.interfaces.includes(name));
  const gone = links.seen[set].filter(name => wanted.includes(name) && !there.includes(name));
  const say = (names: readonly string[], how: string) =>
    names.map(name => ({
      text: `${name} is ${how} in set ${setNames[set]} of nftables`,
      isSure: true,
      isOfTables: true,
    }));
  // A missing table is already reported.
  return table === undefined ? [] : [...say(strange, 'strange'), ...say(gone, 'missing')];
}

/** Returns the bridges named in a set. Pure. */
export function linksIn(set: LinkSet, table: TableText | undefined): string[] {
  return linesOf(table, setNames[set]).flatMap(line => /^"(.+)"$/.exec(line)?.[1] ?? []);
}
