import { type PortRange, states, type XtablesMatch } from '../kernel/xtables.ts';
import { type AskedPacket, payload, type Station, type Tracking } from './asked-packet.ts';
import { type Answer, all, equals, type KnownBits, masked, negated } from './known-bits.ts';

/** The number of xt_addrtype.h. */
const unicast = 2;

/**
 * Whether an iptables match matches the packet.
 *
 * @param mark the packet's current mark; `tracking` is its current state too
 */
export function matchXtables(
  match: XtablesMatch,
  packet: AskedPacket,
  station: Station,
  mark: KnownBits,
  tracking: Tracking,
): Answer {
  switch (match.kind) {
    case 'always':
      return 'yes';
    case 'all of':
      return all(match.matches.map(one => matchXtables(one, packet, station, mark, tracking)));
    case 'ports': {
      if (packet.proto !== undefined && packet.proto !== match.proto) return 'no';
      const answer = inRanges(match.side, [match.range], packet);
      const inverted = match.isInverted ? negated(answer) : answer;
      return packet.proto === undefined ? all([inverted, 'maybe']) : inverted;
    }
    case 'several ports': {
      const answer = inRanges(match.side, match.ranges, packet);
      return match.isInverted ? negated(answer) : answer;
    }
    case 'tcp flags': {
      if (packet.proto === 'udp') return 'no';
      const flags = masked(
        payload(packet, station, 'transport', 13, 1),
        Uint8Array.of(match.mask),
        Uint8Array.of(0),
      );
      const answer = equals(flags, Uint8Array.of(match.value));
      return match.isInverted ? negated(answer) : answer;
    }
    case 'icmp type':
      return packet.proto === undefined ? 'maybe' : 'no';
    case 'state': {
      if (tracking === 'unknown') return 'maybe';
      const state = tracking === 'new' ? 'NEW' : 'INVALID';
      const isNew = (match.bits & (states[state] ?? 0)) !== 0;
      // At the last hook, after source translation, the connection has that state as well.
      const isTranslated = station.hook === 'postrouting' && (match.bits & (states['SNAT'] ?? 0)) !== 0;
      const answer: Answer = isNew ? 'yes' : isTranslated ? 'maybe' : 'no';
      return match.isInverted ? negated(answer) : answer;
    }
    case 'address type': {
      // A translated source may be an address of this host.
      if (match.side === 'source' && packet.isTranslated === true) return 'maybe';
      const answer: Answer = (match.types & unicast) === 0 ? 'no' : 'yes';
      return match.isInverted ? negated(answer) : answer;
    }
    case 'mark': {
      const bytes = (value: number) => {
        const four = Buffer.alloc(4);
        four.writeUInt32LE(value >>> 0);
        return four;
      };
      const answer = equals(masked(mark, bytes(match.mask), bytes(0)), bytes(match.value));
      return match.isInverted ? negated(answer) : answer;
    }
    case 'not understood':
      return 'maybe';
  }
}

function inRanges(
  side: 'source' | 'destination' | 'either',
  ranges: readonly PortRange[],
  { port }: AskedPacket,
): Answer {
  const isAll = ranges.some(([low, high]) => low === 0 && high === 0xffff);
  if (isAll) return 'yes';
  if (side === 'source' || port === undefined) return 'maybe';
  if (ranges.some(([low, high]) => port >= low && port <= high)) return 'yes';
  return side === 'either' ? 'maybe' : 'no';
}
