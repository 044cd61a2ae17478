import { type Cidr, covers, outermost } from './cidr.ts';
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
 * The default deny that allow rules are exceptions to (docs/contract.md §4): what it is made of. Rendered here, without
 * I/O, for both planes; every value has passed its ValueType, so nothing in the texts needs quoting.
 */
export interface Scaffold {
  /** This host's container subnets. */
  subnets: readonly Cidr[];
  /** Where the containers of the whole mesh lie. */
  pools: readonly Cidr[];
  /** Subnets of networks that were created for a namespace since (docs/contract.md §3), wherever they lie. */
  joined: readonly Cidr[];
  /** Where the hosts' own addresses in the mesh lie. */
  mgmtNetworks: readonly Cidr[];
  /** TCP ports of the hosts' REST APIs and metrics, which containers do not reach. */
  apiPorts: readonly number[];
  wgInterface: string;
  /** iptables chain of the allow rules. */
  chainName: string;
}

/** FORWARD jumps here for what goes to a container; it ends in DROP. */
export const intraChain = 'COOLIFY-INTRA';
const table = 'bridge coolify_bridge';

/** What the kernel has now, as `iptables -S` and `iptables -t nat -S POSTROUTING` list it. */
export interface Present {
  filter: readonly string[];
  postrouting: readonly string[];
}

/** A kernel that has nothing of ours and nobody else's. */
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
  // Ours name the networks that are denied, or were before; an operator's rule of the same form names others.
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

/** What tells the rules of joined subnets from those of the configured ones: they come and go by themselves. */
export const joinedMark = 'joined';

/** The rule of FORWARD that hands a network's packets to the default deny. */
export function hookRule(network: Cidr, kind: 'configured' | 'joined'): string {
  return `-d ${network} ${kind === 'joined' ? `-m comment --comment ${joinedMark} ` : ''}-j ${intraChain}`;
}

/** What leaves a network by the mesh keeps its address. */
export function returnRule(network: Cidr, wgInterface: string): string {
  return `-s ${network} -o ${wgInterface} -j RETURN`;
}

const dnsMark = '-m comment --comment coolify-dns -j ACCEPT';

/**
 * Containers ask coold's DNS on the gateways of their networks, also where the host's own packet filter lets nothing in that
 * it does not know.
 */
export function dnsRules(network: Cidr): string[] {
  return ['udp', 'tcp'].map(
    proto => `-s ${network} -d ${network} -p ${proto} -m ${proto} --dport 53 ${dnsMark}`,
  );
}

/** Whether a line of `iptables -S` is such a rule. */
export function isDnsLine(line: string): boolean {
  return line.startsWith('-A INPUT ') && line.endsWith(` ${dnsMark}`);
}

/**
 * What a container of this host sends to the world passes also where FORWARD drops by policy, as beside Docker or ufw;
 * netavark itself sees to that where it uses iptables.
 */
export function egressRule(subnet: Cidr, kind: 'configured' | 'joined'): string {
  return `-s ${subnet} -m comment --comment ${kind === 'joined' ? 'coolify-egress-joined' : 'coolify-egress'} -j ACCEPT`;
}

const egressLine = /^-A FORWARD -s (\S+) -m comment --comment coolify-egress(-joined)? -j ACCEPT$/;

/** The subnets that such rules stand for now. */
export function egressIn(filter: readonly string[]): { subnet: Cidr; kind: 'configured' | 'joined' }[] {
  return filter.flatMap(line => {
    const [, subnet, joined] = egressLine.exec(line) ?? [];
    return subnet === undefined ? [] : [{ subnet, kind: joined === undefined ? 'configured' : 'joined' }];
  });
}

/** Whether a line of `iptables -S` accepts what no hook judges: containers' DNS, or what they send to the world. */
export function isAcceptLine(line: string): boolean {
  return isDnsLine(line) || egressLine.test(line);
}

const hookLine = new RegExp(`^-A FORWARD -d (\\S+) (-m comment --comment ${joinedMark} )?-j ${intraChain}$`);

/** The networks whose packets FORWARD hands to the default deny now. */
export function hooksIn(filter: readonly string[]): { network: Cidr; kind: 'configured' | 'joined' }[] {
  return filter.flatMap(line => {
    const [, network, mark] = hookLine.exec(line) ?? [];
    return network === undefined ? [] : [{ network, kind: mark === undefined ? 'configured' : 'joined' }];
  });
}

/** Those of the joined subnets that need a hook of their own. */
export function joinedBeside(configured: readonly Cidr[], joined: readonly Cidr[]): Cidr[] {
  return outermost(joined).filter(subnet => !configured.some(network => covers(network, subnet)));
}

/** Everything that may be a container's address: the pools, and subnets of this host that lie outside of them. */
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
    '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    `-j ${chainName}`,
    // A published port: whoever may reach the host may reach it.
    '-m conntrack --ctstate DNAT -j ACCEPT',
    // What leaves for another host by the mesh is for that host to judge.
    `-o ${wgInterface} -j ACCEPT`,
    '-j DROP',
  ].map(rule => `-A ${intraChain} ${rule}`);
  const there = present.filter(line => line.startsWith(`-A ${intraChain} `));
  const same = there.length === content.length && content.every((line, index) => line === there[index]);
  return [
    ...(same ? [] : [`:${intraChain} - [0:0]`]),
    ...(present.includes(`-N ${chainName}`) ? [] : [`-N ${chainName}`]),
    ...(same ? [] : content),
    ...hookLines('FORWARD', hooks, present, rule => rule.endsWith(` -j ${intraChain}`)),
    ...acceptLines('FORWARD', hooks.length, egress, present, line => egressLine.test(line)),
    ...acceptLines('INPUT', 0, [...mesh, ...beside].flatMap(dnsRules), present, isDnsLine),
  ];
}

/** Unlike the hooks they need not be on top: what stands above them may be another guard of the host's. */
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

/** Lines that make `wanted` the first rules of a chain, in order, and the only ones of their kind. */
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
 * The bridged plane, as input for `nft -f`: whole and idempotent, one transaction. It empties and fills the chains
 * around coolify_allow, never that one.
 *
 * @param conntrack whether this kernel tracks bridged connections; without, see `untracked`
 */
export function renderNft({ subnets, joined }: Scaffold, conntrack: boolean): string {
  const set = `{ ${outermost(subnets).join(', ')} }`;
  const forward = (rule: string) => `add rule ${table} forward ${rule}`;
  return [
    `add table ${table}`,
    ...allowedSetLines(table),
    `add chain ${table} coolify_allow`,
    `add chain ${table} coolify_answers`,
    `flush chain ${table} coolify_answers`,
    ...[`${opensTcp} return`, ...acceptAnswers].map(rule => `add rule ${table} coolify_answers ${rule}`),
    `add chain ${table} coolify_intra`,
    `flush chain ${table} coolify_intra`,
    `add rule ${table} coolify_intra jump coolify_allow`,
    `add rule ${table} coolify_intra drop`,
    `add chain ${table} forward { type filter hook forward priority -200; policy accept; }`,
    `flush chain ${table} forward`,
    ...withoutLinkLocal.map(forward),
    forward('meta protocol != ip accept'),
    // By a published port; the guard judges it, too.
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

/** What stands in the bridged plane for one joined subnet. @param chains whether replies are told from their packets */
export function joinedNft(subnet: Cidr, chains: 'forward' | 'both'): string[] {
  const mark = `comment "${joinedMark}:${subnet}"`;
  return [
    `add rule ${table} forward ip saddr ${subnet} jump coolify_intra ${mark}`,
    `add rule ${table} forward ip daddr ${subnet} jump coolify_intra ${mark}`,
    ...(chains === 'both' ? [`add rule ${sent} ${noteReply(subnet)} ${mark}`] : []),
  ];
}

/**
 * There is no IPv6 in the mesh, but the kernel gives every container a link-local address, and with it a way around the
 * deny to its neighbours on the bridge. What a link needs to work at all, for bridges that are not ours, stays: ICMPv6
 * and DHCPv6.
 */
const withoutLinkLocal = [
  'ip6 saddr fe80::/10 udp dport { 546, 547 } accept',
  'ip6 saddr fe80::/10 meta l4proto != ipv6-icmp drop',
];

const sent = `${table} coolify_sent`;
/** Ways back: from, from port, to, to port. */
const replies = `${table} coolify_replies { type ipv4_addr . inet_service . ipv4_addr . inet_service; flags dynamic,timeout; size 65536; timeout 30s; }`;

/** Datagrams whose first fragment passed, by which the later ones are known: these name no port. */
const fragments = `${table} coolify_fragments { typeof ip saddr . ip daddr . ip protocol . ip id; flags dynamic,timeout; size 65536; timeout 5s; }`;
const datagram = 'ip saddr . ip daddr . ip protocol . ip id';

const answers = 'jump coolify_answers';
const tracked = [`ct state related ${icmpErrors} accept`, `ct direction reply ${answers}`];

/**
 * What stands in for connection tracking. TCP segments that open nothing are answers, since only an initial SYN opens; so
 * are ICMP echo replies; and UDP packets whose way back was used within the last 30 s. Later fragments, which name no port,
 * pass when the first of their datagram did. Both are noted in a chain behind the deny, which sees only what passed it: a
 * packet that was dropped earns no reply.
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

/** Takes away what an earlier start without connection tracking may have left; adding first makes deleting safe. */
const withoutUntracked = [
  `add chain ${sent}`,
  `flush chain ${sent}`,
  `delete chain ${sent}`,
  `add set ${replies}`,
  `delete set ${table} coolify_replies`,
  `add set ${fragments}`,
  `delete set ${table} coolify_fragments`,
];

/** Input for `nft -c`: accepted only by a kernel that can track bridged connections. */
export const conntrackProbe = [
  'add table bridge coolify_probe',
  'add chain bridge coolify_probe forward { type filter hook forward priority -200; policy accept; }',
  'add rule bridge coolify_probe forward ct state established,related accept',
  '',
].join('\n');
