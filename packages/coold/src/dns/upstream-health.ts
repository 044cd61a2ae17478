import type { Address } from '@coold/runtime';
import { maxUpstreams } from './upstream.ts';

/** An upstream and its place in the memory that says how the upstreams do. */
export interface PlacedUpstream {
  address: Address;
  /** 0 … `healthPlaces` - 1 */
  place: number;
}

/** Twice as many as there can be upstreams, so that one that is new need not take the place of one that just left. */
export const healthPlaces = 2 * maxUpstreams;

/** How the upstreams do, as all threads see it. */
export interface UpstreamHealth {
  answered(place: number): void;
  /** A question has waited for long, or could not be sent. */
  unanswered(place: number): void;
  /** It has answered nothing since a question was left unanswered. Its zone may be to blame as well. */
  isSuspect(place: number): boolean;
  /** It was found dead: it is left out for as long as another is not. */
  isDead(place: number): boolean;
  setDead(place: number, isDead: boolean): void;
}

/** Its memory, which can be handed to another thread. */
export type HealthMemory = Int32Array<ArrayBufferLike>;

export function createHealthMemory(): HealthMemory {
  return new Int32Array(new SharedArrayBuffer(2 * healthPlaces * Int32Array.BYTES_PER_ELEMENT));
}

export function createUpstreamHealth(memory: HealthMemory): UpstreamHealth {
  const dead = (place: number) => healthPlaces + place;
  return {
    answered(place) {
      // Read first: what many threads only read is in the cache of each of their cores.
      if (Atomics.load(memory, place) !== 0) Atomics.store(memory, place, 0);
    },
    unanswered: place => void Atomics.store(memory, place, 1),
    isSuspect: place => Atomics.load(memory, place) !== 0,
    isDead: place => Atomics.load(memory, dead(place)) !== 0,
    setDead: (place, isDead) => void Atomics.store(memory, dead(place), isDead ? 1 : 0),
  };
}

/** Upstreams each in a place of its own. */
export function placeUpstreams(addresses: readonly Address[]): PlacedUpstream[] {
  return addresses.slice(0, healthPlaces).map((address, place) => ({ address, place }));
}
