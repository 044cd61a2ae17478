import type { Place } from './places.ts';
import type { WorldName } from './world.ts';

/** One row of the table: sender, destination, packet and verdict. */
export interface Row {
  /** Stable: pages, tests and people refer to rows by it. */
  id: string;
  group: Group;
  from: Place;
  to: Place;
  /** The kind of address of `to`. Default: a container's own in its first network; a host's on the mesh. */
  at?: AddressKind;
  packet: Packet;
  /** The allow rule for this row; default: none. */
  rule?: RuleOfRow;
  verdict: Verdict;
  /** The source address that the destination sees. Default `own`: the sender's, which its rules name. */
  seen?: 'own' | 'any';
  /** States with another verdict, or where the row is not tested. */
  elsewhere?: Partial<Record<WorldName, Verdict | 'not asked'>>;
  /** The only states where the row is tested. */
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
  /** Opens a connection, sends `size` bytes and gets an answer. */
  | { kind: 'tcp'; port: number; size?: number }
  /** Only opens a connection: its server speaks another protocol. */
  | { kind: 'connect'; port: number }
  /** Sends a datagram that is answered. */
  | { kind: 'udp'; port: number; size?: number }
  /** Sends a question to a DNS server. */
  | { kind: 'query'; port: number }
  /** Sends an echo request. */
  | { kind: 'icmp' }
  /** Sends a datagram to a port where nothing listens; it passes when the ICMP error comes back. */
  | { kind: 'closed'; port: number }
  /** Sends a single hand-made packet with the source address of another place. */
  | { kind: 'raw'; form: RawForm; port: number; as?: { place: Place; at?: AddressKind } }
  /** Keeps a connection, or a flow of datagrams, open during the change; both ends send by themselves. */
  | { kind: 'held'; proto: 'tcp' | 'udp'; port: number }
  /** Sends datagrams without pause during the change. */
  | { kind: 'flood'; port: number }
  /** Both ends send first, each from the port to which the other sends. */
  | { kind: 'both first' };

export type RawForm = 'udp' | 'syn' | 'ack' | 'echo' | 'icmp error' | 'later fragment';

export interface RuleOfRow {
  proto?: 'tcp' | 'udp';
  port?: number;
  /** The hosts where the rule is written. Default: the destination's. */
  on?: 'destination' | 'source' | 'both';
  /** The rule is for the reverse direction. */
  reversed?: true;
  /** The kind of the destination's address in the rule. Default: its own. */
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

/** Whether rows of this kind are measured during the change; all others are measured after it. */
export function whileItChanges({ packet }: Row): boolean {
  return packet.kind === 'held' || packet.kind === 'flood';
}
