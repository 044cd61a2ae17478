import type { AuthReason } from './auth.ts';
import type { EndReason } from './hosts.ts';

/** Why a host's stream is over: we ended it, or it, or nobody. */
export type LeaveReason = EndReason | 'ended' | 'closed' | 'garbled';

/** Why something that a host said changed nothing; after an offence its streamed command is broken off. */
export type IgnoredReason =
  | 'second hello'
  | 'unknown payload'
  | 'left over'
  | 'out of turn'
  | 'duplicate'
  | 'unknown'
  | 'of another host'
  | 'offence';

/** What has happened to hosts' streams since the start: plain numbers, so that counting costs a dispatch nothing. */
export interface HostCounts {
  connects: number;
  replacements: number;
  /** Hellos that were refused, or did not come. */
  refusedHellos: number;
  left: Map<LeaveReason, number>;
  authFailures: Map<AuthReason, number>;
  ignored: Map<IgnoredReason, number>;
}

export function createHostCounts(): HostCounts {
  return {
    ...{ connects: 0, replacements: 0, refusedHellos: 0 },
    ...{ left: new Map(), authFailures: new Map(), ignored: new Map() },
  };
}

export function countOne<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
