import { isRequestId } from '../folder/request-id.ts';

/** The network of one build: a namespace, and a cable (a veth pair) from it to this host. */
export interface BuildNetwork {
  /** Numbers the cable: its end on this host is `coolbuild<slot>`. */
  slot: number;
  /** The IPv4 address of the build's end. */
  address: string;
  /** The IPv4 address of this host's end: gateway and resolver of the build. */
  gateway: string;
  /** The MTU of both ends in bytes: the smallest of the uplinks. */
  mtu: number;
  /** The file of this host that the build sees as /etc/resolv.conf. */
  resolvConf: string;
}

/** The prefix of the names of this host's ends. The packet filter recognises builds by it. */
export const cablePrefix = 'coolbuild';

/** The folder of named namespaces, for `ip netns exec coolify-build-<request_id> …`. */
export const namespaceFolder = '/run/netns';
export const namespacePrefix = 'coolify-build-';

/** Returns the name of a build's namespace. @throws Error for a text that is no request_id */
export function namespaceOf(requestId: string): string {
  if (!isRequestId(requestId)) throw new Error(`${JSON.stringify(requestId)} is no request_id`);
  return `${namespacePrefix}${requestId}`;
}

/** Returns the name of the unit that creates a build's namespace, and removes it when the build's unit ends in any way. */
export function namespaceUnit(requestId: string): string {
  return `coolify-build-net@${namespaceOf(requestId).slice(namespacePrefix.length)}.service`;
}

/** Returns the slot of a cable by the name of this host's end, undefined for another interface. */
export function slotOfCable(name: string): number | undefined {
  const digits = name.startsWith(cablePrefix) ? name.slice(cablePrefix.length) : '';
  return /^[1-9]\d{0,4}$/.test(digits) ? Number(digits) : undefined;
}

/**
 * Returns the properties of a build's unit that put it into a namespace of its own and connect the cable. systemd runs each
 * command in the namespace of the unit, so each names the namespace that it changes. The kernel removes the cable together
 * with the namespace.
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
    // This host has the same address on every cable, and a route only to the other end.
    `${outside} address add ${gateway} peer ${address} dev ${cable}`,
    `${inside} address add ${address}/32 dev eth0`,
    `${inside} link set eth0 up`,
    `${inside} route add default via ${gateway} dev eth0 onlink`,
  ];
  return [
    ['Requires', unit],
    ['After', unit],
    ['NetworkNamespacePath', `${namespaceFolder}/${namespace}`],
    // + runs a command with full privileges, which the build itself does not get.
    ...commands.map((command): [string, string] => ['ExecStartPre', `+${command}`]),
    ['BindReadOnlyPaths', `${resolvConf}:/etc/resolv.conf`],
    // A build must not change its network, use raw sockets, find namespaces of other processes, or enter them. Sockets of
    // other families, for example vsock, do not belong to a network namespace.
    ['CapabilityBoundingSet', '~CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_PTRACE'],
    ['SystemCallFilter', '~setns'],
    ['SystemCallErrorNumber', 'EPERM'],
    ['RestrictAddressFamilies', 'AF_UNIX AF_INET AF_INET6 AF_NETLINK'],
  ];
}
