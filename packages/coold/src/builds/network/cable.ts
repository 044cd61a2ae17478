import { isRequestId } from '../request-id.ts';

/** What one build's network is made of: a namespace, and a cable (a veth pair) from it to this host. */
export interface BuildNetwork {
  /** Numbers the cable: its end on this host is `coolbuild<slot>`. */
  slot: number;
  /** IPv4, of the build's end. */
  address: string;
  /** IPv4, of this host's end: gateway and resolver. */
  gateway: string;
  /** In bytes, of both ends: what the way out takes. */
  mtu: number;
  /** A file of this host that is the build's /etc/resolv.conf. */
  resolvConf: string;
}

/** This host's ends of all cables begin with it; the packet filter knows builds by it. */
export const cablePrefix = 'coolbuild';

/** Where a build's namespace can be entered from outside: `ip netns exec coolify-build-<request_id> …`. */
export const namespaceFolder = '/run/netns';
export const namespacePrefix = 'coolify-build-';

/** @throws Error for what is no request_id */
export function namespaceOf(requestId: string): string {
  if (!isRequestId(requestId)) throw new Error(`${JSON.stringify(requestId)} is no request_id`);
  return `${namespacePrefix}${requestId}`;
}

/** The unit that makes a build's namespace, and removes it once the build's own unit is over, however that ends. */
export function namespaceUnit(requestId: string): string {
  return `coolify-build-net@${namespaceOf(requestId).slice(namespacePrefix.length)}.service`;
}

/** The slot of a cable's end on this host; undefined for another interface. */
export function slotOfCable(name: string): number | undefined {
  const digits = name.startsWith(cablePrefix) ? name.slice(cablePrefix.length) : '';
  return /^[1-9]\d{0,4}$/.test(digits) ? Number(digits) : undefined;
}

/**
 * Properties of a build's unit that put it into a namespace of its own and plug the cable in. Each command names the
 * namespace that it acts in, because systemd runs it in the unit's own. The kernel removes the cable with the namespace.
 */
export function networkProperties(requestId: string, network: BuildNetwork): [name: string, value: string][] {
  const { slot, address, gateway, mtu, resolvConf } = network;
  const namespace = namespaceOf(requestId);
  const unit = namespaceUnit(requestId);
  const cable = `${cablePrefix}${slot}`;
  const outside = 'nsenter --net=/proc/1/ns/net -- ip';
  const inside = `ip -n ${namespace}`;
  const commands = [
    `${outside} link add ${cable} mtu ${mtu} up type veth peer name eth0 mtu ${mtu} netns ${namespace}`,
    // The same address on the end of every cable, and a route to the other end alone.
    `${outside} address add ${gateway} peer ${address} dev ${cable}`,
    `${inside} address add ${address}/32 dev eth0`,
    `${inside} link set eth0 up`,
    `${inside} route add default via ${gateway} dev eth0 onlink`,
  ];
  return [
    ['Requires', unit],
    ['After', unit],
    ['NetworkNamespacePath', `${namespaceFolder}/${namespace}`],
    // With + a command has the privileges that the build itself does not get.
    ...commands.map((command): [string, string] => ['ExecStartPre', `+${command}`]),
    ['BindReadOnlyPaths', `${resolvConf}:/etc/resolv.conf`],
    // What changes the network, speaks past its protocols, or looks for the namespaces of processes outside; and what
    // enters those that it finds. Sockets of other families, as of virtual machines (vsock), belong to no namespace.
    ['CapabilityBoundingSet', '~CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_PTRACE'],
    ['SystemCallFilter', '~setns'],
    ['SystemCallErrorNumber', 'EPERM'],
    ['RestrictAddressFamilies', 'AF_UNIX AF_INET AF_INET6 AF_NETLINK'],
  ];
}
