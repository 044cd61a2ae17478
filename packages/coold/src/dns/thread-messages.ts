import type { Address } from '@coold/runtime';
import type { QueryCounts } from './counts.ts';
import type { ForwardingMemory } from './forwarding.ts';
import type { HealthMemory, PlacedUpstream } from './upstream-health.ts';
import type { Holding } from './zone.ts';

/** What a thread that answers is started with. */
export interface ThreadSetup {
  /** The zone's name on the wire. */
  zone: string;
  /** The namespaces that are configured. */
  namespaces: readonly string[];
  /** Of this process, by which it knows its own answers. */
  serial: number;
  upstreams: readonly PlacedUpstream[];
  health: HealthMemory;
  /** By namespace, in the order of the configuration. */
  counts: readonly QueryCounts[];
  forwarding: ForwardingMemory;
  /** An eventfd: whoever writes to it gives the thread's messages their turn. */
  wakeFd: number;
  /** Whether other threads answer at the same addresses. */
  isShared: boolean;
}

/** What it is told. */
export type ToThread =
  | { kind: 'listen'; listener: number; namespace: number; address: Address }
  | { kind: 'close'; listener: number }
  | { kind: 'told'; names: [name: string, holding: Holding][] }
  | { kind: 'forget' }
  /** Those that are asked from now on. */
  | { kind: 'upstreams'; upstreams: readonly PlacedUpstream[] }
  | { kind: 'end' };

/** What it says. */
export type FromThread =
  | { kind: 'ask'; name: string }
  | { kind: 'listening'; listener: number; port: number }
  /** It does not listen, or no longer. */
  | { kind: 'failed'; listener: number; message: string; code: string | undefined };
