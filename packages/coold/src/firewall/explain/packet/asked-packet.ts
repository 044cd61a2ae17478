import type { Link } from '../kernel/route.ts';
import {
  allKnown,
  hostNumber,
  joined,
  type KnownBits,
  packetNumber,
  slice,
  unknownBytes,
} from './known-bits.ts';

/** The first packet of a flow, as far as it is known. */
export interface AskedPacket {
  /** IPv4 addresses of four bytes. */
  source: Buffer;
  destination: Buffer;
  /** A rule has changed the source address to an unknown one. */
  isTranslated?: boolean;
  /** Undefined for any protocol; likewise the port. */
  proto: 'tcp' | 'udp' | undefined;
  port: number | undefined;
}

/** The point on its path through this host that the packet has reached. */
export interface Station {
  /** What rules of the family `inet` see it as. `bridge` means between two ports of a bridge. */
  layer: 'ip' | 'bridge';
  hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
  /** In the bridged plane: the bridge. */
  into: Link | undefined;
  out: Link | undefined;
  /** The interface that leads to the packet's source. */
  sourceLink: Link | undefined;
}

/** The packet has no value for what a rule compares, such as the owner of a forwarded packet. The rule does not match. */
export const notThere = Symbol('not there');
export type Loaded = KnownBits | typeof notThere;

const protocols = { tcp: 6, udp: 17 } as const;
const etherTypeIpv4 = 0x0800;

function protocolOf({ proto }: AskedPacket): KnownBits {
  return proto === undefined ? unknownBytes(1) : hostNumber(protocols[proto], 1);
}

function sourceOf({ source, isTranslated = false }: AskedPacket): KnownBits {
  return isTranslated ? unknownBytes(4) : allKnown(source);
}

function portOf({ port }: AskedPacket): KnownBits {
  return port === undefined ? unknownBytes(2) : packetNumber(port, 2);
}

/** Returns bytes of the packet. Lengths, checksums and the source port are unknown. */
export function payload(
  packet: AskedPacket,
  station: Station,
  base: 'link' | 'network' | 'transport',
  offset: number,
  length: number,
): KnownBits {
  return slice(header(packet, station, base), offset, length);
}

function header(packet: AskedPacket, station: Station, base: 'link' | 'network' | 'transport'): KnownBits {
  switch (base) {
    case 'link':
      return station.layer === 'bridge'
        ? joined(unknownBytes(12), packetNumber(etherTypeIpv4, 2))
        : unknownBytes(14);
    case 'network': {
      // Not fragmented: no further fragment and no offset. Whether "don't fragment" is set is not known.
      const fragment = { bytes: new Uint8Array(2), known: Uint8Array.of(0xbf, 0xff) };
      return joined(
        ...[hostNumber(0x45, 1), unknownBytes(5), fragment, unknownBytes(1), protocolOf(packet)],
        ...[unknownBytes(2), sourceOf(packet), allKnown(packet.destination)],
      );
    }
    case 'transport':
      return joined(
        unknownBytes(2),
        packet.proto === undefined ? unknownBytes(2) : portOf(packet),
        rest(packet),
      );
  }
}

/** The TCP flags after the ports: SYN only, except that the sender chooses the congestion flags. */
function rest({ proto }: AskedPacket): KnownBits {
  const flags = { bytes: Uint8Array.of(2), known: Uint8Array.of(0x3f) };
  return proto === 'tcp' ? joined(unknownBytes(9), flags, unknownBytes(6)) : unknownBytes(4);
}

/** The number of if_arp.h. */
const ethernet = 1;
/** The number of rtnetlink.h. */
const unicast = 1;

/** Returns packet metadata by the keys of `meta`. @param mark the packet's current mark */
export function meta(packet: AskedPacket, station: Station, key: number, mark: KnownBits): Loaded {
  const { layer, hook, into, out } = station;
  const isBridged = layer === 'bridge';
  // In the bridged plane these are names of the bridge's ports, which are not known here.
  const incoming = isBridged || hook === 'postrouting' || hook === 'output' ? undefined : into;
  const outgoing = isBridged || hook === 'prerouting' || hook === 'input' ? undefined : out;
  switch (key) {
    case 1:
      return packetNumber(etherTypeIpv4, 2);
    case 3:
      return mark;
    case 4:
      return indexOf(incoming);
    case 5:
      return indexOf(outgoing);
    case 6:
      return nameOf(incoming);
    case 7:
      return nameOf(outgoing);
    case 8:
      return isBridged ? hostNumber(ethernet, 2) : typeOf(incoming);
    case 9:
      return isBridged ? hostNumber(ethernet, 2) : typeOf(outgoing);
    case 10:
    case 11:
      return notThere;
    case 15:
      return hostNumber(isBridged ? 7 : 2, 1);
    case 16:
      return protocolOf(packet);
    case 17:
      return isBridged ? nameOf(into) : unknownBytes(16);
    case 18:
      return isBridged ? nameOf(out) : unknownBytes(16);
    default:
      return unknownBytes(16);
  }
}

const indexOf = (link: Link | undefined) => (link === undefined ? unknownBytes(4) : hostNumber(link.index));

function nameOf(link: Link | undefined): KnownBits {
  if (link === undefined) return unknownBytes(16);
  const bytes = new Uint8Array(16);
  bytes.set(Buffer.from(link.name).subarray(0, 15));
  return allKnown(bytes);
}

function typeOf(link: Link | undefined): KnownBits {
  if (link === undefined) return unknownBytes(2);
  return link.isBridge ? hostNumber(ethernet, 2) : unknownBytes(2);
}

const stateNew = 8;
const stateInvalid = 1;
const ipv4 = 2;
/** Expected, answered, assured, source- or destination-translated: a first packet has none of these bits. */
const statusKnown = 1 | 2 | 4 | 16 | 32;
const sourceTranslated = 16;
/** The priority of the prerouting and output hooks from which connection tracking has seen the packet. */
const trackedFrom = -200;

/** The connection tracking state of a first packet: a new connection, not tracked yet, or possibly never tracked. */
export type Tracking = 'new' | 'not yet' | 'unknown';

/** @param priority the chain's priority @param mayBeUntracked whether a rule may have disabled tracking for the packet */
export function trackingAt({ hook }: Station, priority: number, mayBeUntracked: boolean): Tracking {
  if (hook === 'prerouting' && priority <= trackedFrom) return mayBeUntracked ? 'unknown' : 'not yet';
  return mayBeUntracked ? 'unknown' : 'new';
}

/** Returns facts about the connection by the keys of `ct`. @param mark the connection's current mark */
export function connection(
  packet: AskedPacket,
  { hook }: Station,
  tracking: Tracking,
  key: number,
  mark: KnownBits,
): Loaded {
  if (tracking === 'unknown') return unknownBytes(16);
  if (tracking === 'not yet') return key === 0 ? hostNumber(stateInvalid) : notThere;
  switch (key) {
    case 0:
      return hostNumber(stateNew);
    case 1:
      return hostNumber(0, 1);
    case 2: {
      const known = new Uint8Array(4);
      known[0] = hook === 'postrouting' ? statusKnown & ~sourceTranslated : statusKnown;
      return { bytes: new Uint8Array(4), known };
    }
    case 3:
      return mark;
    case 6:
      return notThere;
    case 7:
      return hostNumber(ipv4, 1);
    case 10:
      return protocolOf(packet);
    default:
      return unknownBytes(16);
  }
}

const fibFlags = { source: 1, destination: 2, mark: 4, into: 8, out: 16, present: 32 } as const;

/**
 * Returns the routing table's answer by the keys of `fib`. Both ends are containers, so neither is an address of this
 * host.
 */
export function fib(
  { isTranslated = false }: AskedPacket,
  { into, sourceLink }: Station,
  result: number,
  flags: number,
): KnownBits {
  // After translation the source may be an address of this host.
  if (isTranslated && (flags & fibFlags.source) !== 0) return unknownBytes(16);
  if (result === 3) return hostNumber(unicast);
  const asked = flags & ~(fibFlags.mark | fibFlags.present);
  if (result !== 1 || asked !== (fibFlags.source | fibFlags.into)) return unknownBytes(16);
  if (into === undefined || sourceLink === undefined) return unknownBytes(4);
  const isThere = into.index === sourceLink.index;
  if ((flags & fibFlags.present) !== 0) return hostNumber(isThere ? 1 : 0);
  return hostNumber(isThere ? into.index : 0);
}
