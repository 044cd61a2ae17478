import { type Cidr, covers, outermost } from '../rule/cidr.ts';
import {
  acceptAllowed,
  acceptAnswers,
  allowedSetLines,
  continuesTcp,
  icmpErrors,
  isPublished,
  opensTcp,
} from './judged-flows.ts';

/**
 * What the default deny is made of (docs/contract.md §4); allow rules are exceptions to it. This file renders it for
 * both planes, without I/O. Every value has passed its ValueType, so nothing in the texts needs quoting.
 */
export interface Scaffold {
  /** This host's container subnets. */
  subnets: readonly Cidr[];
  /** The address pools of all containers in the mesh. */
  pools: readonly Cidr[];
  /** Subnets of networks created later for a namespace (docs/contract.md §3), inside or outside the pools. */
  joined: readonly Cidr[];
  /** The networks of the hosts' own addresses in the mesh. */
  mgmtNetworks: readonly Cidr[];
  /** TCP ports of the hosts' REST APIs and metrics. Containers must not reach them. */
  apiPorts: readonly number[];
  wgInterface: string;
  /** The iptables chain of the allow rules. */
  chainName: string;
}

/** FORWARD jumps here for packets to a container. The chain ends in DROP. */
export const intraChain = 'COOLIFY-INTRA';
const table = 'bridge coolify_bridge';

/** The kernel's rules, as `iptables -S` and `iptables -t nat -S POSTROUTING` list them. */
export interface Present {
  filter: readonly string[];
  postrouting: readonly string[];
}

/** A kernel without any rules. */
export const nothing: Present = { filter: [], postrouting: [] };

/**
 * The routed plane, as input for `iptables-restore --noflush` that brings the kernel from `present` to the scaffold;
 * empty when it is there. One commit a table, so no packet meets a half of it.
 *
 * The allow chain is only ever made, with -N: declaring it would flush it, --noflush or not. The hooks are put back to
 * the top whenever something stands above them: netavark inserts a chain that accepts everything from its subnets there.
 */
export function renderIptables(scaffold: Scaffold, present: Present): string {
  const filter = filterLines(scaffold, present.filter);
  // Our rules name networks that are denied now or were denied before. An operator's rule of the same form names other
  // networks.
  const mesh = meshNetworks(scaffold);
  const joined = joinedBeside(mesh, scaffold.joined);
  const networks = new Set([...mesh, ...joined, ...hooksIn(present.filter).map(({ network }) => network)]);
  const nat = hookLines(
    'POSTROUTING',
    [...mesh, ...joined].map(network => returnRule(network, scaffold.wgInterface)),
    present.postrouting,
    rule => networks.has(/^-s (\S+) -o \S+ -j RETURN$/.exec(rule)?.[1] ?? ''),
  );
  return [...tableText('filter', filter), ...tableText('nat', nat)].map(line => `${line}\n`).join('');
}

/** Marks the rules of joined subnets. These come and go without a change of the configuration. */
export const joinedMark = 'joined';

/** The rule of FORWARD that sends a network's packets through the default deny. */
export function hookRule(network: Cidr, kind: 'configured' | 'joined'): string {
  return `-d ${network} ${kind === 'joined' ? `-m comment --comment ${joinedMark} ` : ''}-j ${intraChain}`;
}

/** The rule that keeps the source address of packets that leave a network by the mesh. */
export function returnRule(network: Cidr, wgInterface: string): string {
  return `-s ${network} -o ${wgInterface} -j RETURN`;
}

const dnsMark = '-m comment --comment coolify-dns -j ACCEPT';

/**
 * Lets containers ask coold's DNS on their networks' gateways, also where the host's own packet filter drops unknown
 * input.
 */
export function dnsRules(network: Cidr): string[] {
  return ['udp', 'tcp'].map(
    proto => `-s ${network} -d ${network} -p ${proto} -m ${proto} --dport 53 ${dnsMark}`,
  );
}

/** Whether a line of `iptables -S` is one of `dnsRules`. */
export function isDnsLine(line: string): boolean {
  return line.startsWith('-A INPUT ') && line.endsWith(` ${dnsMark}`);
}

/**
 * Lets packets from this host's containers to the internet pass where FORWARD's policy is DROP, as beside Docker or
 * ufw. netavark adds this rule itself where it uses iptables.
 */
export function egressRule(subnet: Cidr, kind: 'configured' | 'joined'): string {
  return `-s ${subnet} -m comment --comment ${kind === 'joined' ? 'coolify-egress-joined' : 'coolify-egress'} -j ACCEPT`;
}

const egressLine = /^-A FORWARD -s (\S+) -m comment --comment coolify-egress(-joined)? -j ACCEPT$/;

/** Returns the subnets that have an `egressRule` now. */
export function egressIn(filter: readonly string[]): { subnet: Cidr; kind: 'configured' | 'joined' }[] {
  return filter.flatMap(line => {
    const [, subnet, joined] = egressLine.exec(line) ?? [];
    return subnet === undefined ? [] : [{ subnet, kind: joined === undefined ? 'configured' : 'joined' }];
  });
}

/** Matches answers, and packets of a connection that was let through. In the form that `iptables -S` prints. */
export const establishedRule = '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT';

/**
 * Accepts packets to a published port of a network, for a scaffold of another program whose deny chain does not accept
 * them.
 */
export function publishedRule(network: Cidr): string {
  return `-d ${network} -m conntrack --ctstate DNAT -m comment --comment coolify-published -j ACCEPT`;
}

const isPublishedLine = (line: string) =>
  /^-A FORWARD -d \S+ -m conntrack --ctstate DNAT -m comment --comment coolify-published -j ACCEPT$/.test(
    line,
  );

/**
 * Whether a line of `iptables -S` accepts packets that no hook judges: containers' DNS, their packets to the internet,
 * or packets to their published ports.
 */
export function isAcceptLine(line: string): boolean {
  return isDnsLine(line) || egressLine.test(line) || isPublishedLine(line);
}

const hookLine = new RegExp(`^-A FORWARD -d (\\S+) (-m comment --comment ${joinedMark} )?-j ${intraChain}$`);

/** Returns the networks whose packets FORWARD sends through the default deny now. */
export function hooksIn(filter: readonly string[]): { network: Cidr; kind: 'configured' | 'joined' }[] {
  return filter.flatMap(line => {
    const [, network, mark] = hookLine.exec(line) ?? [];
    return network === undefined ? [] : [{ network, kind: mark === undefined ? 'configured' : 'joined' }];
  });
}

/** Returns the joined subnets that need a hook of their own. */
export function joinedBeside(configured: readonly Cidr[], joined: readonly Cidr[]): Cidr[] {
  return outermost(joined).filter(subnet => !configured.some(network => covers(network, subnet)));
}

/** Returns every network that can hold a container's address: the pools, and this host's subnets outside them. */
function meshNetworks({ pools, subnets }: Scaffold): Cidr[] {
  return outermost([...pools, ...subnets]);
}

function filterLines(scaffold: Scaffold, present: readonly string[]): string[] {
  const { chainName, wgInterface } = scaffold;
  const mesh = meshNetworks(scaffold);
  const beside = joinedBeside(mesh, scaffold.joined);
  const hooks = [
    ...mesh.map(network => hookRule(network, 'configured')),
    ...beside.map(subnet => hookRule(subnet, 'joined')),
  ];
  const egress = [
    ...outermost(scaffold.subnets).map(subnet => egressRule(subnet, 'configured')),
    ...outermost(scaffold.joined).map(subnet => egressRule(subnet, 'joined')),
  ];
  const content = [
    establishedRule,
    `-j ${chainName}`,
    // Whoever may reach the host may reach its published ports.
    '-m conntrack --ctstate DNAT -j ACCEPT',
    // The destination host judges what leaves by the mesh.
    `-o ${wgInterface} -j ACCEPT`,
    '-j DROP',
  ].map(rule => `-A ${intraChain} ${rule}`);
  const there = present.filter(line => line.startsWith(`-A ${intraChain} `));
  const same = there.length === content.length && content.every((line, index) => line === there[index]);
  return [
    ...(same ? [] : [`:${intraChain} - [0:0]`]),
    ...(present.includes(`-N ${chainName}`) ? [] : [`-N ${chainName}`]),
    ...(same ? [] : content),
    // Left by another program's scaffold.
    ...present.filter(isPublishedLine).map(line => line.replace(/^-A/, '-D')),
    ...hookLines('FORWARD', hooks, present, rule => rule.endsWith(` -j ${intraChain}`)),
    ...acceptLines('FORWARD', hooks.length, egress, present, line => egressLine.test(line)),
    ...acceptLines('INPUT', 0, [...mesh, ...beside].flatMap(dnsRules), present, isDnsLine),
  ];
}

/** Unlike the hooks, these rules need not be first: the rules above them may belong to another firewall of the host. */
function acceptLines(
  chain: string,
  below: number,
  rules: readonly string[],
  present: readonly string[],
  isOurs: (line: string) => boolean,
): string[] {
  const wanted = rules.map(rule => `-A ${chain} ${rule}`);
  const ours = present.filter(isOurs);
  if (wanted.length === ours.length && wanted.every(line => ours.includes(line))) return [];
  return [
    ...ours.map(line => line.replace(/^-A/, '-D')),
    ...rules.map((rule, index) => `-I ${chain} ${below + index + 1} ${rule}`),
  ];
}

/** Returns lines that make `wanted` the first rules of a chain, in order, and remove other rules of their kind. */
export function hookLines(
  chain: string,
  wanted: readonly string[],
  present: readonly string[],
  isOurs: (rule: string) => boolean,
): string[] {
  const prefix = `-A ${chain} `;
  const rules = present.filter(line => line.startsWith(prefix)).map(line => line.slice(prefix.length));
  const ours = rules.filter(isOurs);
  if (ours.length === wanted.length && wanted.every((rule, index) => rule === rules[index])) return [];
  return [
    ...ours.map(rule => `-D ${chain} ${rule}`),
    ...wanted.map((rule, index) => `-I ${chain} ${index + 1} ${rule}`),
  ];
}

export function tableText(name: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`*${name}`, ...lines, 'COMMIT'];
}

/**
 * Renders the bridged plane as input for `nft -f`: complete, idempotent, one transaction. It refills the chains around
 * coolify_allow, never that chain itself.
 *
 * @param conntrack whether this kernel tracks bridged connections; see `untracked` for kernels that do not
 * @param bridges the bridges of mesh containers; undefined where this kernel cannot tell one bridge from another
 */
export function renderNft(
  { subnets, joined }: Scaffold,
  conntrack: boolean,
  bridges: readonly string[] | undefined,
): string {
  const set = `{ ${outermost(subnets).join(', ')} }`;
  const forward = (rule: string) => `add rule ${table} forward ${rule}`;
  return [
    `add table ${table}`,
    ...allowedSetLines(table),
    `add set ${table} ${meshBridges} { type ifname; }`,
    `flush set ${table} ${meshBridges}`,
    ...(bridges === undefined || bridges.length === 0 ? [] : [bridgesElement(bridges)]),
    `add chain ${table} coolify_allow`,
    `add chain ${table} coolify_answers`,
    `flush chain ${table} coolify_answers`,
    ...[`${opensTcp} return`, ...acceptAnswers].map(rule => `add rule ${table} coolify_answers ${rule}`),
    `add chain ${table} coolify_intra`,
    `flush chain ${table} coolify_intra`,
    ...[`meta mark set ${deniedMark}`, 'jump coolify_allow', 'drop'].map(
      rule => `add rule ${table} coolify_intra ${rule}`,
    ),
    `add chain ${denied} { type filter hook forward priority -195; policy accept; }`,
    `flush chain ${denied}`,
    `add rule ${denied} meta mark ${deniedMark} drop`,
    `add chain ${table} forward { type filter hook forward priority -200; policy accept; }`,
    `flush chain ${table} forward`,
    ...(bridges === undefined ? withoutLinkLocal : withoutIpv6).map(forward),
    forward('meta protocol != ip accept'),
    // Comes through a published port. The guard judges it too.
    forward(`${isPublished} accept`),
    ...(conntrack ? [...withoutUntracked, ...tracked.map(forward)] : untracked(set)),
    ...acceptAllowed.map(forward),
    forward(`ip saddr ${set} jump coolify_intra`),
    forward(`ip daddr ${set} jump coolify_intra`),
    ...outermost(joined).flatMap(subnet => joinedNft(subnet, conntrack ? 'forward' : 'both')),
  ]
    .map(line => `${line}\n`)
    .join('');
}

/**
 * Returns the bridged plane's rules for one joined subnet.
 *
 * @param chains 'both' where replies are recognised from packets instead of connection tracking
 */
export function joinedNft(subnet: Cidr, chains: 'forward' | 'both'): string[] {
  const mark = `comment "${joinedMark}:${subnet}"`;
  return [
    `add rule ${table} forward ip saddr ${subnet} jump coolify_intra ${mark}`,
    `add rule ${table} forward ip daddr ${subnet} jump coolify_intra ${mark}`,
    ...(chains === 'both' ? [`add rule ${sent} ${noteReply(subnet)} ${mark}`] : []),
  ];
}

const denied = `${table} coolify_denied`;
/**
 * The packet mark of packets that no set allows. A rule that somebody put only into coolify_allow may still accept such
 * a packet there, but the chain after it drops the packet all the same. Overwriting the former mark does no harm,
 * because the packet goes no further.
 */
const deniedMark = '0x636f6f6c';

/** The bridges of mesh containers. */
export const meshBridges = 'mesh_bridges';

/** Adds bridges of mesh containers. Bridges already in the set stay. */
export function bridgesElement(bridges: readonly string[]): string {
  return `add element ${table} ${meshBridges} { ${bridges.map(name => `"${name}"`).join(', ')} }`;
}

/**
 * The mesh has no IPv6, but the kernel gives every container a link-local address, which would let it reach its
 * neighbours on the bridge past the deny. Other bridges of the host, such as those of virtual machines, are left alone.
 */
const withoutIpv6 = [`meta ibrname @${meshBridges} meta protocol ip6 drop`];
/**
 * The same for kernels that cannot tell one bridge from another. ICMPv6 and DHCPv6 still pass, because links on other
 * bridges need them.
 */
const withoutLinkLocal = [
  'ip6 saddr fe80::/10 udp dport { 546, 547 } accept',
  'ip6 saddr fe80::/10 meta l4proto != ipv6-icmp drop',
];

const sent = `${table} coolify_sent`;
/** The tuples that answers have: source, source port, destination, destination port. */
const replies = `${table} coolify_replies { type ipv4_addr . inet_service . ipv4_addr . inet_service; flags dynamic,timeout; size 65536; timeout 30s; }`;

/** Datagrams whose first fragment passed. Later fragments carry no port and are recognised by these. */
const fragments = `${table} coolify_fragments { typeof ip saddr . ip daddr . ip protocol . ip id; flags dynamic,timeout; size 65536; timeout 5s; }`;
const datagram = 'ip saddr . ip daddr . ip protocol . ip id';

const answers = 'jump coolify_answers';
const tracked = [`ct state related ${icmpErrors} accept`, `ct direction reply ${answers}`];

/**
 * Replaces connection tracking where the kernel cannot track bridged connections. These packets count as answers: TCP
 * segments other than an initial SYN, because only that opens a connection; ICMP echo replies; UDP packets whose
 * reverse tuple was used within the last 30 s. Later fragments pass when the first fragment of their datagram passed. A
 * chain after the deny records UDP tuples and fragments, so a dropped packet earns no reply.
 */
function untracked(set: string): string[] {
  const forward = (rule: string) => `add rule ${table} forward ${rule}`;
  return [
    `add set ${replies}`,
    `add set ${fragments}`,
    forward(`ip frag-off & 0x1fff != 0 ${datagram} @coolify_fragments accept`),
    forward(`${icmpErrors} accept`),
    forward(`${continuesTcp} ${answers}`),
    forward(`icmp type echo-reply ${answers}`),
    forward(`ip saddr . udp sport . ip daddr . udp dport @coolify_replies ${answers}`),
    `add chain ${sent} { type filter hook forward priority -190; policy accept; }`,
    `flush chain ${sent}`,
    `add rule ${sent} ip frag-off & 0x3fff == 0x2000 update @coolify_fragments { ${datagram} }`,
    `add rule ${sent} ${noteReply(set)}`,
  ];
}

function noteReply(from: string): string {
  return `ip saddr ${from} ip protocol udp update @coolify_replies { ip daddr . udp dport . ip saddr . udp sport }`;
}

/** Removes what an earlier start without connection tracking may have left. Adding first makes deleting safe. */
const withoutUntracked = [
  `add chain ${sent}`,
  `flush chain ${sent}`,
  `delete chain ${sent}`,
  `add set ${replies}`,
  `delete set ${table} coolify_replies`,
  `add set ${fragments}`,
  `delete set ${table} coolify_fragments`,
];

const probe = (rule: string) =>
  [
    'add table bridge coolify_probe',
    'add chain bridge coolify_probe forward { type filter hook forward priority -200; policy accept; }',
    `add rule bridge coolify_probe forward ${rule}`,
    '',
  ].join('\n');
/** Input for `nft -c` that only a kernel with tracking of bridged connections accepts. */
export const conntrackProbe = probe('ct state established,related accept');
/** Input for `nft -c` that only a kernel accepts which can tell one bridge from another (CONFIG_NFT_BRIDGE_META). */
export const bridgeNameProbe = probe('meta ibrname "podman0" accept');
