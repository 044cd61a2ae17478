import { type Cidr, outermost, sorted, without } from './cidr.ts';
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
 * The second point at which the default deny is enforced (docs/contract.md §4): a table of its own. netavark, Docker and
 * ufw put chains that accept above our hooks in FORWARD; a drop in another base chain is final whatever they accept.
 */
export const guardName = 'coolify_guard';
/** Family and name, as nft's commands take them. */
export const guardTable = `inet ${guardName}`;

/** This host's container subnets. The comment of an element tells a joined subnet from a configured one. */
export const localSubnets = 'local_subnets';
/** Bridges that containers send by. */
const meshLinks = 'mesh_links';
/** The comment of a joined subnet in that set. */
export const joinedElement = 'joined';
/** What coold itself fills while it runs; the scaffold makes them and never empties them. */
export const apiSockets = 'api_sockets';
export const apiClients = 'api_clients';

/**
 * How many packets for port 53 of each gateway came in by anything but the loopback, and how many of them no chain of the
 * host's own packet filter took before coold's socket; counted by the kernel, never emptied.
 */
export const dnsAsked = 'dns_asked';
export const dnsArrived = 'dns_arrived';

/**
 * Counts, by the interface they leave by, first packets that allow rules let through or that leave for another host by the
 * mesh: as the guard lets them go on, and as every other chain of FORWARD has left them.
 */
export const flowsAllowed = 'flows_allowed';
export const flowsForwarded = 'flows_forwarded';

/**
 * The guard, as input for `nft -f`: whole and idempotent, one transaction. Chains and the scaffold's own sets are filled
 * anew; the sets of the allow rules and of coold's own ports keep what they hold.
 *
 * @param links bridges that containers send by
 */
export function renderGuard(scaffold: Scaffold, links: readonly string[]): string {
  const { pools, subnets, mgmtNetworks, joined, apiPorts } = scaffold;
  const all = chains(scaffold);
  return [
    `add table ${guardTable}`,
    ...keptSets,
    ...ownSet(localSubnets, 'ipv4_addr; flags interval', localElements(subnets, joined)),
    ...ownSet('mesh_pools', 'ipv4_addr; flags interval', outermost([...pools, ...subnets])),
    ...ownSet('mesh_hosts', 'ipv4_addr; flags interval', outermost(mgmtNetworks)),
    ...ownSet(
      meshLinks,
      'ifname',
      links.map(name => `"${name}"`),
    ),
    ...ownSet('api_ports', 'inet_service', [...new Set(apiPorts)].map(String)),
    // All of them before any rule that leads to one.
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
 * The elements of the set of this host's container subnets: the configured ones, and what the joined ones add to them.
 * Elements of a set cannot overlap.
 */
export function localElements(configured: readonly Cidr[], joined: readonly Cidr[]): string[] {
  const own = outermost(configured);
  const beside = joinedElements(own, joined);
  return sorted([...own, ...beside]).map(subnet =>
    beside.includes(subnet) ? `${subnet} comment "${joinedElement}"` : subnet,
  );
}

/** What of the joined subnets lies outside of the configured ones, in networks that do not overlap. */
export function joinedElements(configured: readonly Cidr[], joined: readonly Cidr[]): Cidr[] {
  return outermost(joined).flatMap(subnet => without(subnet, configured));
}

const keptSets = [
  ...allowedSetLines(guardTable),
  `add set ${guardTable} ${apiSockets} { type ipv4_addr . inet_service; }`,
  `add set ${guardTable} ${apiClients} { type ipv4_addr; flags interval; }`,
  // Sets that count, though two of them need but one number: nft lists a counter only after reading every set there is.
  ...[flowsAllowed, flowsForwarded].map(name => countingSet(name, 'ifname')),
  ...[dnsAsked, dnsArrived].map(name => countingSet(name, 'ipv4_addr')),
];

/** Adds bridges that containers send by; those that are there stay. */
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

function countDns(set: string): string {
  return `iifname != "lo" ip daddr @${localSubnets} meta l4proto { tcp, udp } th dport 53 update @${set} { ip daddr counter }`;
}

function countFlows(set: string, wgInterface: string): string[] {
  return [
    // What a host publishes its operator may well keep some from; nor are later packets of a connection judged anew.
    'ct status dnat accept',
    'ct state != new accept',
    `ip daddr @${localSubnets} update @${set} { oifname counter }`,
    `ip saddr @${localSubnets} oifname "${wgInterface}" update @${set} { oifname counter }`,
  ];
}

interface Chain {
  name: string;
  /** Absent: a chain that others lead to. */
  hook?: string;
  rules: string[];
}

function chains({ wgInterface }: Scaffold): Chain[] {
  return [
    {
      name: 'to_container',
      rules: [...acceptAllowed, 'drop'],
    },
    {
      // What answers, from a container of this host or to one.
      name: 'answers',
      rules: [
        `${opensTcp} drop`,
        `ip daddr @mesh_pools ip daddr != @${localSubnets} oifname != "${wgInterface}" drop`,
        // A container of this host asked, and the other side let it.
        `ip saddr != @${localSubnets} accept`,
        ...acceptAnswers,
        'drop',
      ],
    },
    {
      name: 'forward',
      hook: 'filter hook forward priority filter - 10',
      rules: [
        // A published port: whoever may reach the host may reach it.
        'ct status dnat accept',
        `ct state related ${icmpErrors} accept`,
        `ct direction reply ip saddr @${localSubnets} goto answers`,
        `ct direction reply ip daddr @${localSubnets} goto answers`,
        `ip daddr @${localSubnets} goto to_container`,
        // What is left of a connection that another host opened and that was forgotten here would pass as one of ours.
        `ip saddr @${localSubnets} ip daddr @mesh_pools ct state new tcp flags & (fin | syn | rst | ack) != syn drop`,
        // What leaves for another host by the mesh passes, since that host decides; in clear text nothing leaves.
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
    {
      // After connection tracking, so that replies are known, and before DNAT, so that a published port is still the
      // address that was asked for.
      name: 'arrive',
      hook: 'filter hook prerouting priority mangle',
      rules: [
        'iifname "lo" accept',
        `iifname "${wgInterface}" ip saddr @${localSubnets} drop`,
        `iifname "${wgInterface}" accept`,
        // From a container: its address is routed to the bridge that the packet came by.
        `ip saddr @${localSubnets} fib saddr . iif oif exists accept`,
        // A container on two networks answers by the one that its default route leads to, under the other's address.
        `ip saddr @${localSubnets} ct direction reply iifname @${meshLinks} accept`,
        `ip saddr @${localSubnets} drop`,
        'ip saddr @mesh_pools drop',
        `ip daddr @${localSubnets} drop`,
        'ip daddr @mesh_pools drop',
        // A network of hosts may hold the uplink's own neighbours, too: what the routing table puts there stays reachable.
        'ip saddr @mesh_hosts fib saddr . iif oif missing drop',
        'ip daddr @mesh_hosts fib daddr . iif type != { local, broadcast, multicast } drop',
      ],
    },
    {
      // Behind DNAT.
      name: 'published',
      hook: 'filter hook prerouting priority dstnat + 10',
      rules: [`ct status dnat ip saddr @${localSubnets} ip daddr @${localSubnets} ${markPublished}`],
    },
    {
      // Whoever sends it, the host itself as well: in clear text nothing leaves for another host's containers.
      name: 'leave',
      hook: 'filter hook postrouting priority filter',
      rules: [`ip daddr @mesh_pools ip daddr != @${localSubnets} oifname != { "lo", "${wgInterface}" } drop`],
    },
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
      // From a container of this host or of another one: not to the REST API, nor to metrics.
      name: 'to_host',
      rules: [`ip daddr . tcp dport @${apiSockets} drop`, 'ip daddr @mesh_hosts tcp dport @api_ports drop'],
    },
    {
      // Behind every chain that could keep it from a socket.
      name: 'arrived',
      hook: 'filter hook input priority 400',
      rules: [countDns(dnsArrived)],
    },
    {
      // netavark masquerades in a chain of nftables on newer systems, which no rule of iptables can keep it from. A
      // translation to the address that is there comes first, and a connection is translated once.
      name: 'keep_address',
      hook: 'nat hook postrouting priority srcnat - 10',
      rules: [`oifname "${wgInterface}" ip saddr @${localSubnets} snat ip to ip saddr`],
    },
  ];
}
