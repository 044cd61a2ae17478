import { textOf } from '../../netlink/netlink.ts';
import type { Verdict } from './expressions.ts';

// Parses matches and targets of iptables in the kernel's form (linux/netfilter/xt_*.h): those that iptables-nft leaves
// to xtables modules, and those of iptables-legacy. Pure.

/** First and last port, both included. */
export type PortRange = readonly [number, number];

export type XtablesMatch =
  | { kind: 'always' }
  | {
      kind: 'ports';
      proto: 'tcp' | 'udp';
      side: 'source' | 'destination';
      range: PortRange;
      isInverted: boolean;
    }
  | {
      kind: 'several ports';
      side: 'source' | 'destination' | 'either';
      ranges: readonly PortRange[];
      isInverted: boolean;
    }
  | { kind: 'tcp flags'; mask: number; value: number; isInverted: boolean }
  | { kind: 'icmp type'; type: number; isInverted: boolean }
  /** `bits` as in xt_conntrack.h: see `states`. */
  | { kind: 'state'; bits: number; isInverted: boolean }
  | { kind: 'address type'; side: 'source' | 'destination'; types: number; isInverted: boolean }
  | { kind: 'mark'; value: number; mask: number; isInverted: boolean }
  | { kind: 'all of'; matches: readonly XtablesMatch[] }
  | { kind: 'not understood'; name: string };

export type XtablesTarget =
  | { kind: 'verdict'; verdict: Verdict }
  | { kind: 'translate'; what: 'source' | 'destination' }
  /** `(mark & ~mask) ^ value`. */
  | { kind: 'mark'; value: number; mask: number }
  /** Sets the packet's mark to an unknown value. */
  | { kind: 'mark not understood' }
  | { kind: 'no matter'; name: string }
  /** Leaves addresses and ports alone; whether the packet continues, and its connection tracking state, are not known. */
  | { kind: 'doubtful'; name: string }
  /** May do anything to the packet. */
  | { kind: 'not understood'; name: string };

/** Bits of the connection states, as iptables numbers them. */
export const states: Readonly<Record<string, number>> = {
  INVALID: 1,
  ESTABLISHED: 2,
  RELATED: 4,
  NEW: 8,
  SNAT: 64,
  DNAT: 128,
  UNTRACKED: 256,
};

const matchesStateAlone = (flags: number) => (flags & ~0x2000) === 1;

/** Parses a match of an xtables module. @param revision the revision of the match's layout */
export function readMatch(name: string, revision: number, info: Buffer): XtablesMatch {
  const strange: XtablesMatch = { kind: 'not understood', name };
  switch (name) {
    case 'comment':
      return { kind: 'always' };
    case 'tcp':
    case 'udp':
      return revision === 0 && info.length >= 9 ? readPorts(name, info) : strange;
    case 'icmp': {
      const [type = 0, low = 0, high = 0, inverted = 0] = info;
      if (type === 0xff) return { kind: 'always' };
      return low === 0 && high === 0xff
        ? { kind: 'icmp type', type, isInverted: (inverted & 1) !== 0 }
        : strange;
    }
    case 'conntrack': {
      if ((revision !== 2 && revision !== 3) || info.length < 154) return strange;
      const [match, inverted] = [info.readUInt16LE(146), info.readUInt16LE(148)];
      if (!matchesStateAlone(match)) return strange;
      return { kind: 'state', bits: info.readUInt16LE(150), isInverted: (inverted & 1) !== 0 };
    }
    case 'state':
      return info.length < 4 ? strange : { kind: 'state', bits: info.readUInt32LE(0), isInverted: false };
    case 'addrtype': {
      if (revision !== 1 || info.length < 8) return strange;
      const flags = info.readUInt32LE(4);
      if ((flags & ~3) !== 0) return strange;
      return allOf([
        ...addressType('source', info.readUInt16LE(0), (flags & 1) !== 0),
        ...addressType('destination', info.readUInt16LE(2), (flags & 2) !== 0),
      ]);
    }
    case 'mark':
      if (revision !== 1 || info.length < 9) return strange;
      return {
        kind: 'mark',
        value: info.readUInt32LE(0),
        mask: info.readUInt32LE(4),
        isInverted: info[8] === 1,
      };
    case 'multiport':
      return revision === 1 && info.length >= 48 ? readMultiport(info) : strange;
    default:
      return strange;
  }
}

function readPorts(proto: 'tcp' | 'udp', info: Buffer): XtablesMatch {
  const range = (at: number): PortRange => [info.readUInt16LE(at), info.readUInt16LE(at + 2)];
  const inverted = info.readUInt8(proto === 'tcp' ? 11 : 8);
  const ports = (side: 'source' | 'destination', at: number, bit: number): XtablesMatch[] => {
    const [low, high] = range(at);
    const isInverted = (inverted & bit) !== 0;
    return low === 0 && high === 0xffff && !isInverted
      ? []
      : [{ kind: 'ports', proto, side, range: [low, high], isInverted }];
  };
  const sides = [...ports('source', 0, 1), ...ports('destination', 4, 2)];
  if (proto === 'udp') return allOf(sides);
  const [option, mask, value] = [info.readUInt8(8), info.readUInt8(9), info.readUInt8(10)];
  if (option !== 0) return { kind: 'not understood', name: 'tcp option' };
  const isInverted = (inverted & 4) !== 0;
  return allOf([...sides, ...(mask === 0 ? [] : [{ kind: 'tcp flags', mask, value, isInverted } as const])]);
}

function readMultiport(info: Buffer): XtablesMatch {
  const side = (['source', 'destination', 'either'] as const)[info.readUInt8(0)];
  if (side === undefined) return { kind: 'not understood', name: 'multiport' };
  const count = Math.min(15, info.readUInt8(1));
  const ranges: PortRange[] = [];
  for (let index = 0; index < count; index += 1) {
    const low = info.readUInt16LE(2 + 2 * index);
    // A flag says that the next port is the end of a range.
    const isRange = info.readUInt8(32 + index) !== 0 && index + 1 < count;
    ranges.push([low, isRange ? info.readUInt16LE(4 + 2 * index) : low]);
    if (isRange) index += 1;
  }
  return { kind: 'several ports', side, ranges, isInverted: info.readUInt8(47) !== 0 };
}

function addressType(side: 'source' | 'destination', types: number, isInverted: boolean): XtablesMatch[] {
  return types === 0 ? [] : [{ kind: 'address type', side, types, isInverted }];
}

function allOf(matches: readonly XtablesMatch[]): XtablesMatch {
  const [only] = matches;
  if (only === undefined) return { kind: 'always' };
  return matches.length === 1 ? only : { kind: 'all of', matches };
}

/** Targets that let the packet continue with the next rule and change nothing that filter rules match on. */
const passing = new Set([
  ...['LOG', 'NFLOG', 'ULOG', 'TRACE', 'TCPMSS', 'CHECKSUM', 'CLASSIFY', 'TEE', 'AUDIT', 'DSCP', 'TOS'],
  ...['RATEEST', 'LED', 'IDLETIMER', 'SET', 'ACCT', 'NFACCT', 'SECMARK', 'CONNSECMARK'],
]);

/** Returns a target that its name describes completely; undefined for other targets and for chain names. */
function plainTarget(name: string): XtablesTarget | undefined {
  switch (name) {
    case 'ACCEPT':
      return { kind: 'verdict', verdict: { kind: 'accept' } };
    case 'DROP':
    case 'REJECT':
      return { kind: 'verdict', verdict: { kind: 'drop' } };
    case 'RETURN':
      return { kind: 'verdict', verdict: { kind: 'return' } };
    case 'SNAT':
    case 'MASQUERADE':
      return { kind: 'translate', what: 'source' };
    case 'DNAT':
    case 'REDIRECT':
    case 'TPROXY':
      return { kind: 'translate', what: 'destination' };
    case 'NETMAP':
      return { kind: 'not understood', name };
    case 'TTL': // too short a one ends the packet on this host
    case 'CT':
    case 'NOTRACK':
      return { kind: 'doubtful', name };
    case 'QUEUE':
    case 'NFQUEUE':
    case 'SYNPROXY':
      return { kind: 'verdict', verdict: { kind: 'elsewhere', name } };
    case 'CONNMARK':
    case 'HMARK':
    case 'MARK':
      return { kind: 'mark not understood' };
    default:
      return passing.has(name) ? { kind: 'no matter', name } : undefined;
  }
}

/** Parses a target of an xtables module. */
export function readTarget(name: string, revision: number, info: Buffer): XtablesTarget {
  if (name === 'MARK' && revision === 2 && info.length >= 8)
    return { kind: 'mark', value: info.readUInt32LE(0), mask: info.readUInt32LE(4) };
  if (name === '') return standardTarget(info);
  return plainTarget(name) ?? { kind: 'not understood', name: textOf(Buffer.from(name)) };
}

/** The standard target: a verdict, stored as its negative minus one. */
function standardTarget(info: Buffer): XtablesTarget {
  const code = info.length < 4 ? 0 : info.readInt32LE(0);
  if (code === -2) return { kind: 'verdict', verdict: { kind: 'accept' } };
  if (code === -1) return { kind: 'verdict', verdict: { kind: 'drop' } };
  return { kind: 'not understood', name: `verdict ${code}` };
}
