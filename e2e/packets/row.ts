import type { Place } from './places.ts';
import type { WorldName } from './world.ts';

/** One line of the table: who sends what to whom, and what becomes of it. */
export interface Row {
  /** Stable: pages, tests and people name rows by it. */
  id: string;
  group: Group;
  from: Place;
  to: Place;
  /** Which address of `to`. Default: a container's own, of its first network; a host's on the mesh. */
  at?: AddressKind;
  packet: Packet;
  /** The allow rule that stands for it; none by default. */
  rule?: RuleOfRow;
  verdict: Verdict;
  /** Whose address the destination sees. Default `own`: the sender's, which its rules name. */
  seen?: 'own' | 'any';
  /** Worlds where the verdict is another one, or is not asked for. */
  elsewhere?: Partial<Record<WorldName, Verdict | 'not asked'>>;
  /** Asked in these worlds alone. */
  only?: readonly WorldName[];
  why: string;
}

export type Verdict = 'passes' | 'dropped';

export type AddressKind =
  | 'own'
  | 'second network'
  | 'underlay'
  | 'gateway'
  | 'link-local'
  | 'broadcast'
  | 'everyone';

export type Packet =
  /** A connection that is opened, used and answered; `size` bytes are sent. */
  | { kind: 'tcp'; port: number; size?: number }
  /** A connection that is opened and no more: its server speaks something else. */
  | { kind: 'connect'; port: number }
  /** A datagram that is answered. */
  | { kind: 'udp'; port: number; size?: number }
  /** A question to a DNS server. */
  | { kind: 'query'; port: number }
  /** An echo request. */
  | { kind: 'icmp' }
  /** A datagram to a port where nothing listens; it passes when the ICMP error comes back. */
  | { kind: 'closed'; port: number }
  /** A single packet, made by hand, with the source address of another place. */
  | { kind: 'raw'; form: RawForm; port: number; as?: { place: Place; at?: AddressKind } }
  /** A connection, or a flow of datagrams, that is open when the world changes; both ends send by themselves. */
  | { kind: 'held'; proto: 'tcp' | 'udp'; port: number }
  /** Datagrams without an end while the world changes. */
  | { kind: 'flood'; port: number }
  /** Both ends send first, each from the port that the other sends to. */
  | { kind: 'both first' };

export type RawForm = 'udp' | 'syn' | 'ack' | 'echo' | 'icmp error' | 'later fragment';

export interface RuleOfRow {
  proto?: 'tcp' | 'udp';
  port?: number;
  /** The host, or hosts, where it was written. Default: the destination's. */
  on?: 'destination' | 'source' | 'both';
  /** The rule is of the way back. */
  reversed?: true;
  /** It names this address of the destination. Default: its own. */
  at?: AddressKind;
}

export const groups = [
  'Between any two containers',
  'Allow rules',
  'Networks beside the mesh',
  'Published ports and the outside',
  'The hosts themselves',
  'Odd packets',
  'The underlay',
  'While it changes',
] as const;
export type Group = (typeof groups)[number];

/** Rows of these kinds are measured while the world changes, all others once it has. */
export function whileItChanges({ packet }: Row): boolean {
  return packet.kind === 'held' || packet.kind === 'flood';
}
