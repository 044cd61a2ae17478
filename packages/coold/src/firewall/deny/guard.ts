import { type Cidr, outermost, sorted, without } from '../rule/cidr.ts';
import {
  acceptAllowed,
  acceptAnswers,
  allowedSetLines,
  icmpErrors,
  markPublished,
  opensTcp,
} from './judged-flows.ts';
import type { Scaffold } from './scaffold.ts';

/**
 * The second point that enforces the default deny (docs/contract.md §4): an nftables table of our own. netavark, Docker
 * and ufw put accepting chains above our hooks in FORWARD; a drop in another base chain is final whatever those accept.
 */
export const guardName = 'coolify_guard';
/** Family and name, as nft's commands take them. */
export const guardTable = `inet ${guardName}`;

/** This host's container subnets. An element's comment tells a joined subnet from a configured one. */
export const localSubnets = 'local_subnets';
/** The address pools of the whole mesh, and the hosts' own addresses. */
const meshPools = 'mesh_pools';
export const meshHosts = 'mesh_hosts';
/** TCP ports on the hosts' own addresses that containers must not reach. */
export const apiPorts = 'api_ports';
/** The sets that only the scaffold fills. */
export const ownSets = [localSubnets, meshPools, meshHosts, apiPorts] as const;
/** The bridges that containers send through. */
export const meshLinks = 'mesh_links';
/** The comment of a joined subnet's element in `local_subnets`. */
export const joinedElement = 'joined';
/** Sets that coold fills while it runs. The scaffold creates them and never empties them. */
export const apiSockets = 'api_sockets';
export const apiClients = 'api_clients';

/**
 * Per gateway address, the number of packets for port 53 that came in by any interface but the loopback, and the number
 * of those that no chain of the host's own packet filter dropped before they reached coold's socket. The kernel counts;
 * nothing resets the counters.
 */
export const dnsAsked = 'dns_asked';
export const dnsArrived = 'dns_arrived';

/**
 * Per outgoing interface, the number of first packets that an allow rule let through or that leave for another host by
 * the mesh: counted when the guard accepts them, and again after every other chain of FORWARD.
 */
export const flowsAllowed = 'flows_allowed';
export const flowsForwarded = 'flows_forwarded';

/**
 * Renders the guard as input for `nft -f`: complete, idempotent, one transaction. It refills the chains and the
 * scaffold's own sets. It leaves the elements of the sets for allow rules and for coold's own ports alone.
 *
 * @param links the bridges that containers send through
 */
export function renderGuard(scaffold: Scaffold, links: readonly string[]): string {
  const { pools, subnets, mgmtNetworks, joined } = scaffold;
  const all = chains(scaffold);
  return [
    `add table ${guardTable}`,
    ...keptSets,
    ...ownSet(localSubnets, 'ipv4_addr; flags interval', localElements(subnets, joined)),
    ...ownSet(meshPools, 'ipv4_addr; flags interval', outermost([...pools, ...subnets])),
    ...ownSet(meshHosts, 'ipv4_addr; flags interval', outermost(mgmtNetworks)),
    ...ownSet(
      meshLinks,
      'ifname',
      links.map(name => `"${name}"`),
    ),
    ...ownSet(apiPorts, 'inet_service', [...new Set(scaffold.apiPorts)].map(String)),
    // Declare every chain before any rule jumps to one.
    ...all.flatMap(({ name, hook }) => [
      `add chain ${guardTable} ${name}${hook === undefined ? '' : ` { type ${hook}; policy accept; }`}`,
      `flush chain ${guardTable} ${name}`,
    ]),
    ...all.flatMap(({ name, rules }) => rules.map(rule => `add rule ${guardTable} ${name} ${rule}`)),
  ]
    .map(line => `${line}\n`)
    .join('');
}

/**
 * Returns the elements of the set of this host's container subnets: the configured subnets, and whatever the joined
 * ones add to them. Elements of a set must not overlap.
 */
export function localElements(configured: readonly Cidr[], joined: readonly Cidr[]): string[] {
  const own = outermost(configured);
  const beside = joinedElements(own, joined);
  return sorted([...own, ...beside]).map(subnet =>
    beside.includes(subnet) ? `${subnet} comment "${joinedElement}"` : subnet,
  );
}

/** Returns the parts of the joined subnets that lie outside the configured ones, as networks that do not overlap. */
export function joinedElements(configured: readonly Cidr[], joined: readonly Cidr[]): Cidr[] {
  return outermost(joined).flatMap(subnet => without(subnet, configured));
}

const keptSets = [
  ...allowedSetLines(guardTable),
  `add set ${guardTable} ${apiSockets} { type ipv4_addr . inet_service; }`,
  `add set ${guardTable} ${apiClients} { type ipv4_addr; flags interval; }`,
  // Sets that count, although two of them hold one number only: nft lists a counter object only after reading every
  // set.
  ...[flowsAllowed, flowsForwarded].map(name => countingSet(name, 'ifname')),
  ...[dnsAsked, dnsArrived].map(name => countingSet(name, 'ipv4_addr')),
];

/** Adds bridges that containers send through. Bridges already in the set stay. */
export function linksElement(links: readonly string[]): string {
  return `add element ${guardTable} ${meshLinks} { ${links.map(name => `"${name}"`).join(', ')} }`;
}

function ownSet(name: string, type: string, elements: readonly string[]): string[] {
  return [
    `add set ${guardTable} ${name} { type ${type}; }`,
    `flush set ${guardTable} ${name}`,
    ...(elements.length === 0 ? [] : [`add element ${guardTable} ${name} { ${elements.join(', ')} }`]),
  ];
}

function countingSet(name: string, type: string): string {
  return `add set ${guardTable} ${name} { type ${type}; flags dynamic; counter; }`;
}

/**
 * Counts first packets only: what a container sends after it got an answer proves nothing more, and must not hide that
 * other packets are lost.
 */
function countDns(set: string): string {
  return `iifname != "lo" ct state new ip daddr @${localSubnets} meta l4proto { tcp, udp } th dport 53 update @${set} { ip daddr counter }`;
}

function countFlows(set: string, wgInterface: string): string[] {
  return [
    // The operator may restrict a published port with rules of their own. Later packets of a connection are not judged
    // again.
    'ct status dnat accept',
    'ct state != new accept',
    `ip daddr @${localSubnets} update @${set} { oifname counter }`,
    `ip saddr @${localSubnets} oifname "${wgInterface}" update @${set} { oifname counter }`,
  ];
}

interface Chain {
  name: string;
  /** Absent for a chain that is reached by jumps only. */
  hook?: string;
  rules: string[];
}

function chains({ wgInterface }: Scaffold): Chain[] {
  return [
    ...forwardChains(wgInterface),
    ...edgeChains(wgInterface),
    ...inputChains,
    {
      // Newer systems have netavark masquerade in an nftables chain, which no iptables rule can prevent. This chain
      // translates the address to itself first: the kernel translates a connection only once.
      name: 'keep_address',
      hook: 'nat hook postrouting priority srcnat - 10',
      rules: [`oifname "${wgInterface}" ip saddr @${localSubnets} snat ip to ip saddr`],
    },
  ];
}

/** Judges what passes between containers, and between containers and others. Counts whether allowed flows pass. */
function forwardChains(wgInterface: string): Chain[] {
  return [
    { name: 'to_container', rules: [...acceptAllowed, 'drop'] },
    {
      // Accepts answers from a container of this host or to one.
      name: 'answers',
      rules: [
        `${opensTcp} drop`,
        `ip daddr @mesh_pools ip daddr != @${localSubnets} oifname != "${wgInterface}" drop`,
        // A container of this host asked, and the other side allowed it.
        `ip saddr != @${localSubnets} accept`,
        ...acceptAnswers,
        'drop',
      ],
    },
    {
      name: 'forward',
      hook: 'filter hook forward priority filter - 10',
      rules: [
        // Whoever may reach the host may reach its published ports.
        'ct status dnat accept',
        `ct state related ${icmpErrors} accept`,
        `ct direction reply ip saddr @${localSubnets} goto answers`,
        `ct direction reply ip daddr @${localSubnets} goto answers`,
        `ip daddr @${localSubnets} goto to_container`,
        // A connection that another host opened and that this host's connection tracking has forgotten would pass as
        // one opened here.
        `ip saddr @${localSubnets} ip daddr @mesh_pools ct state new tcp flags & (fin | syn | rst | ack) != syn drop`,
        // Packets that leave for another host by the mesh pass, because that host decides. Nothing leaves unencrypted.
        `ip daddr @mesh_pools oifname != "${wgInterface}" drop`,
      ],
    },
    {
      name: 'allowed',
      hook: 'filter hook forward priority filter - 9',
      rules: countFlows(flowsAllowed, wgInterface),
    },
    {
      name: 'forwarded',
      hook: 'filter hook forward priority 400',
      rules: countFlows(flowsForwarded, wgInterface),
    },
  ];
}

/** Drops packets with mesh addresses that enter or leave this host by an interface that is not theirs. */
function edgeChains(wgInterface: string): Chain[] {
  return [
    {
      // After connection tracking, so that replies are known, and before DNAT, so that a published port still has the
      // address that the sender used.
      name: 'arrive',
      hook: 'filter hook prerouting priority mangle',
      rules: [
        'iifname "lo" accept',
        `iifname "${wgInterface}" ip saddr @${localSubnets} drop`,
        `iifname "${wgInterface}" accept`,
        // From a container: the routing table leads its address to the bridge that the packet came in by.
        `ip saddr @${localSubnets} fib saddr . iif oif exists accept`,
        // A container on two networks answers through its default route's bridge, with the other network's address.
        `ip saddr @${localSubnets} ct direction reply iifname @${meshLinks} accept`,
        `ip saddr @${localSubnets} drop`,
        'ip saddr @mesh_pools drop',
        `ip daddr @${localSubnets} drop`,
        'ip daddr @mesh_pools drop',
        // A hosts' network may also contain neighbours of the uplink. What the routing table reaches there stays
        // reachable.
        'ip saddr @mesh_hosts fib saddr . iif oif missing drop',
        'ip daddr @mesh_hosts fib daddr . iif type != { local, broadcast, multicast } drop',
      ],
    },
    {
      // After DNAT.
      name: 'published',
      hook: 'filter hook prerouting priority dstnat + 10',
      rules: [`ct status dnat ip saddr @${localSubnets} ip daddr @${localSubnets} ${markPublished}`],
    },
    {
      // This also covers packets of the host itself: nothing leaves unencrypted for another host's containers.
      name: 'leave',
      hook: 'filter hook postrouting priority filter',
      rules: [`ip daddr @mesh_pools ip daddr != @${localSubnets} oifname != { "lo", "${wgInterface}" } drop`],
    },
  ];
}

/** Judges what containers send to the host itself: DNS and the host's services pass, the REST API and metrics do not. */
const inputChains: Chain[] = [
  {
    name: 'input',
    hook: 'filter hook input priority filter - 10',
    rules: [
      countDns(dnsAsked),
      `ip saddr @${apiClients} accept`,
      `ip saddr @${localSubnets} goto to_host`,
      'ip saddr @mesh_pools goto to_host',
    ],
  },
  {
    // From a container of this host or of another host: drops packets for the REST API and metrics.
    name: 'to_host',
    rules: [`ip daddr . tcp dport @${apiSockets} drop`, 'ip daddr @mesh_hosts tcp dport @api_ports drop'],
  },
  {
    // After every chain that could keep the packet from a socket.
    name: 'arrived',
    hook: 'filter hook input priority 400',
    rules: [countDns(dnsArrived)],
  },
];
