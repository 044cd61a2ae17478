import type { Address } from '@coold/runtime';
import type { ThreadIo } from '@coold/udp-io';
import type { QueryCounts } from '../counts.ts';
import type { ForwardingMemory } from '../forward/shared-forwarding.ts';
import type { HealthMemory, PlacedUpstream } from '../forward/upstream-health.ts';
import type { Holding } from '../zone/zone.ts';
import type { ZoneTimesMemory } from '../zone-times.ts';

/** What an answering thread is started with. */
export interface ThreadSetup {
  /** The zone's name on the wire. */
  zone: string;
  /** The namespaces that are configured. */
  namespaces: readonly string[];
  /** Identifies this process's own answers. */
  serial: number;
  upstreams: readonly PlacedUpstream[];
  health: HealthMemory;
  /** By namespace, in the order of the configuration. */
  counts: readonly QueryCounts[];
  forwarding: ForwardingMemory;
  zoneTimes: ZoneTimesMemory;
  /** How it does UDP and is woken for messages. */
  io: ThreadIo;
  /** Whether other threads answer at the same addresses. */
  isShared: boolean;
}

/** Messages to the thread. */
export type ToThread =
  | { kind: 'listen'; listener: number; namespace: number; address: Address }
  | { kind: 'close'; listener: number }
  | { kind: 'told'; names: [name: string, holding: Holding][] }
  | { kind: 'forget' }
  /** The upstreams to ask from now on. */
  | { kind: 'upstreams'; upstreams: readonly PlacedUpstream[] }
  | { kind: 'end' };

/** Messages from the thread. */
export type FromThread =
  | { kind: 'ask'; name: string }
  | { kind: 'listening'; listener: number; port: number }
  /** The listener could not be opened, or has failed. */
  | { kind: 'failed'; listener: number; message: string; code: string | undefined };
