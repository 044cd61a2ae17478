import type { EndReason } from '../hosts/hosts.ts';
import type { AuthReason } from './auth.ts';
import { type ContestedHosts, createContestedHosts } from './contested-hosts.ts';

/** Why a host's stream ended: the broker ended it, the host did, or the connection broke. */
export type LeaveReason = EndReason | 'ended' | 'closed' | 'garbled';

/** Why a message of a host was ignored. Some reasons also end its streamed command. */
export type IgnoredReason =
  | 'second hello'
  | 'unknown payload'
  | 'left over'
  | 'out of turn'
  | 'duplicate'
  | 'unknown'
  | 'of another host'
  | 'offence'
  | 'another dialect';

/** Counts of events on hosts' streams since the start. Plain numbers, so that counting costs a dispatch nothing. */
export interface HostCounts {
  connects: number;
  replacements: number;
  /** Hellos that were refused or did not arrive. */
  refusedHellos: number;
  left: Map<LeaveReason, number>;
  authFailures: Map<AuthReason, number>;
  ignored: Map<IgnoredReason, number>;
  contested: ContestedHosts;
}

export function createHostCounts(): HostCounts {
  return {
    connects: 0,
    replacements: 0,
    refusedHellos: 0,
    left: new Map(),
    authFailures: new Map(),
    ignored: new Map(),
    contested: createContestedHosts(),
  };
}

export function countOne<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
