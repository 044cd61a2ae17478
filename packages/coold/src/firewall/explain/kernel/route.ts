import { attribute, attributesOf, textAttribute, textOf } from '../../netlink/netlink.ts';
import { NetlinkError, type NetlinkSocket } from '../../netlink/netlink-socket.ts';
import { readKernelFile } from '../../netlink/read-kernel-file.ts';

// Reads interfaces and routes from the kernel as `ip` does. Numbers are those of linux/rtnetlink.h and linux/if_link.h.

/** Where this host's routing table sends packets for an address. */
export type Route =
  /** An address of this host itself. */
  | { kind: 'own'; device: string }
  | { kind: 'out'; device: string }
  /** There is no route, and why. */
  | { kind: 'none'; why: string };

/** An interface of this host. */
export interface Link {
  name: string;
  index: number;
  isBridge: boolean;
}

/** What is read of an interface in addition. */
export interface ReadLink extends Link {
  /** Whether this bridge's own setting passes its packets to the IP rules. */
  callsIptables: boolean;
  /** The number of the bridge that this interface is a port of. */
  master: number | undefined;
}

/** A packet that arrives from elsewhere. */
export interface CameIn {
  source: Buffer;
  /** The interface that it arrives on. */
  link: Link;
  /** Undefined for any protocol or port. */
  proto: 'tcp' | 'udp' | undefined;
  port: number | undefined;
}

const protocols = { tcp: 6, udp: 17 } as const;
const getLink = 18;
const getRoute = 26;
const getRule = 34;
const routeTypes = { unicast: 1, local: 2, broadcast: 3 } as const;
/** Numbers of errno.h. */
const refusals: Readonly<Record<number, string>> = {
  13: 'a route forbids it',
  18: 'packets of that source do not come in by that interface (rp_filter)',
  19: 'no interface has this name',
  22: 'a route drops it',
  101: 'the network is unreachable',
  113: 'the host is unreachable, or forwarding is off',
};

/**
 * Asks the kernel for the route of a packet.
 *
 * @param from absent when the packet is this host's own
 * @throws NetlinkError
 */
export function readRoute(socket: NetlinkSocket, address: Buffer, from?: CameIn): Route {
  // The address family, both prefix lengths in bits, and fields that a query leaves zero.
  const head = Buffer.from([2, 32, from === undefined ? 0 : 32, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  const by =
    from === undefined
      ? []
      : [attribute(2, from.source), attribute(3, fourBytesLittle(from.link.index)), ...portOf(from)];
  try {
    const body = socket.get(getRoute, [head, attribute(1, address), ...by])?.body;
    if (body === undefined) return { kind: 'none', why: refusals[101] ?? '' };
    const type = body[7] ?? 0;
    const device = linkName(socket, attributesOf(body.subarray(head.length)).get(4));
    if (type === routeTypes.local || type === routeTypes.broadcast) return { kind: 'own', device };
    if (type !== routeTypes.unicast || device === '') return { kind: 'none', why: `a route of type ${type}` };
    return { kind: 'out', device };
  } catch (error) {
    const why = error instanceof NetlinkError ? refusals[error.errno] : undefined;
    if (why === undefined) throw error;
    return { kind: 'none', why };
  }
}

/** Policy routing rules may match on these. */
function portOf({ proto, port }: CameIn): Buffer[] {
  if (proto === undefined) return [];
  const asked = [attribute(27, Buffer.of(protocols[proto]))];
  if (port === undefined) return asked;
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(port);
  return [...asked, attribute(29, bytes)];
}

function linkName(socket: NetlinkSocket, index: Buffer | undefined): string {
  return index === undefined ? '' : (linkOf(socket, index.readInt32LE(0), [])?.name ?? '');
}

/** @returns undefined when no interface has that name @throws NetlinkError */
export function readLink(socket: NetlinkSocket, name: string): ReadLink | undefined {
  return linkOf(socket, 0, [textAttribute(3, name)]);
}

function linkOf(socket: NetlinkSocket, index: number, named: readonly Buffer[]): ReadLink | undefined {
  const head = Buffer.alloc(16);
  head.writeInt32LE(index, 4);
  try {
    const body = socket.get(getLink, [head, ...named])?.body;
    return body === undefined ? undefined : parseLink(body);
  } catch (error) {
    if (error instanceof NetlinkError && error.errno === 19) return undefined;
    throw error;
  }
}

/** Parses a message about a link. Pure. */
function parseLink(body: Buffer): ReadLink {
  const { 3: name, 10: master, 18: info } = Object.fromEntries(attributesOf(body.subarray(16)));
  const { 1: kind, 2: data } = info === undefined ? {} : Object.fromEntries(attributesOf(info));
  const isBridge = textOf(kind) === 'bridge';
  const calls = isBridge && data !== undefined ? attributesOf(data).get(36)?.[0] : 0;
  return {
    name: textOf(name),
    index: body.readInt32LE(4),
    isBridge,
    callsIptables: calls === 1,
    master: master === undefined || master.length < 4 ? undefined : master.readUInt32LE(0),
  };
}

function fourBytesLittle(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

/** Whether a policy routing rule matches on packet marks. @throws NetlinkError */
export async function routesByMark(socket: NetlinkSocket): Promise<boolean> {
  const head = Buffer.alloc(12);
  head[0] = 2;
  let found = false;
  await socket.dump(getRule, [head], ({ body }) => {
    const { 10: mark, 16: mask } = Object.fromEntries(attributesOf(body.subarray(head.length)));
    found ||= mark !== undefined || mask !== undefined;
  });
  return found;
}

/** Whether every bridge of this network namespace passes its packets to the IP rules (br_netfilter). */
export async function allCallIptables(): Promise<boolean> {
  const value = await readKernelFile('/proc/sys/net/bridge/bridge-nf-call-iptables');
  return value.trim() === '1';
}
