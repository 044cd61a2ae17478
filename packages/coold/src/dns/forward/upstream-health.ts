import type { Address } from '@coold/runtime';
import { maxUpstreams } from './upstream.ts';

/** An upstream, and its place in the shared health memory. */
export interface PlacedUpstream {
  address: Address;
  /** 0 … `healthPlaces` - 1 */
  place: number;
}

/** Twice the number of upstreams, so that a new one need not take the place of one that was just removed. */
export const healthPlaces = 2 * maxUpstreams;

/** The upstreams' health, as seen by all threads. */
export interface UpstreamHealth {
  answered(place: number): void;
  /** Records that a question was not answered for long, or could not be sent. */
  unanswered(place: number): void;
  /** Whether it has answered nothing since a question was left unanswered. The question's zone may be the cause. */
  isSuspect(place: number): boolean;
  /** Whether it is known to be dead. A dead upstream is skipped while another one is alive. */
  isDead(place: number): boolean;
  setDead(place: number, isDead: boolean): void;
}

/** The shared memory, which can be passed to another thread. */
export type HealthMemory = Int32Array<ArrayBufferLike>;

export function createHealthMemory(): HealthMemory {
  return new Int32Array(new SharedArrayBuffer(2 * healthPlaces * Int32Array.BYTES_PER_ELEMENT));
}

export function createUpstreamHealth(memory: HealthMemory): UpstreamHealth {
  const dead = (place: number) => healthPlaces + place;
  return {
    answered(place) {
      // Read before writing: memory that threads only read stays in each processor's cache.
      if (Atomics.load(memory, place) !== 0) Atomics.store(memory, place, 0);
    },
    unanswered: place => void Atomics.store(memory, place, 1),
    isSuspect: place => Atomics.load(memory, place) !== 0,
    isDead: place => Atomics.load(memory, dead(place)) !== 0,
    setDead: (place, isDead) => void Atomics.store(memory, dead(place), isDead ? 1 : 0),
  };
}

/** Gives each upstream a place. */
export function placeUpstreams(addresses: readonly Address[]): PlacedUpstream[] {
  return addresses.slice(0, healthPlaces).map((address, place) => ({ address, place }));
}
