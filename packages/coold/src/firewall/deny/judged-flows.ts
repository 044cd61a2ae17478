/**
 * The sets that hold the allow rules. A look-up takes constant time. The scaffold creates the sets and never empties
 * them.
 */
export const allowedSets = {
  /** Source . destination, for every protocol. */
  hosts: 'allowed_hosts',
  /** Source . destination . protocol. */
  protocols: 'allowed_protocols',
  /** Source . destination . protocol . destination port. */
  ports: 'allowed_ports',
} as const;

const allowedTypes = {
  [allowedSets.hosts]: 'ipv4_addr . ipv4_addr',
  [allowedSets.protocols]: 'ipv4_addr . ipv4_addr . inet_proto',
  [allowedSets.ports]: 'ipv4_addr . ipv4_addr . inet_proto . inet_service',
};

/**
 * Returns lines for `nft -f` that create the sets in a table and keep their elements.
 *
 * @param table the table's family and name
 */
export function allowedSetLines(table: string): string[] {
  return Object.entries(allowedTypes).map(([name, type]) => `add set ${table} ${name} { type ${type}; }`);
}

/*
 * A flow is judged by the rules that stand now, at each packet and in both directions, and never because it was allowed
 * once: so revoking a rule ends what it had opened, without a program that deletes connections from the kernel's table and
 * without a time that runs out under an idle one.
 */

/** Accepts a packet whose flow is allowed in the packet's direction. */
export const acceptAllowed = [
  `ip saddr . ip daddr @${allowedSets.hosts} accept`,
  `ip saddr . ip daddr . ip protocol @${allowedSets.protocols} accept`,
  `ip saddr . ip daddr . ip protocol . th dport @${allowedSets.ports} accept`,
];

/** Accepts an answer to a packet whose flow is allowed: looks the reversed tuple up. */
export const acceptAnswers = [
  `ip daddr . ip saddr @${allowedSets.hosts} accept`,
  `ip daddr . ip saddr . ip protocol @${allowedSets.protocols} accept`,
  `ip daddr . ip saddr . ip protocol . th sport @${allowedSets.ports} accept`,
];

/** A TCP segment that opens a connection. It is never an answer, even though both ends may send one at the same time. */
export const opensTcp = 'tcp flags & (syn | ack) == syn';
/** A TCP segment that cannot open a connection. */
export const continuesTcp = 'tcp flags & (syn | ack) != syn';
/** The errors that routers and kernels answer with. */
export const icmpErrors = 'icmp type { destination-unreachable, time-exceeded, parameter-problem }';

/**
 * A bit of the packet mark: what one container of this host sends to another by a published port, and the answers. The guard
 * sets it once the address is rewritten, and the bridged plane, which may not see connections, goes by it: where bridges call
 * iptables, such a packet stays on its bridge. No container can set it, since the kernel clears the mark of what leaves a
 * network namespace. netavark has 0x2000, Kubernetes 0x4000 and 0x8000, Tailscale 0xff0000.
 */
const publishedBit = '0x1000';
export const markPublished = `meta mark set meta mark | ${publishedBit}`;
export const isPublished = `meta mark & ${publishedBit} == ${publishedBit}`;
