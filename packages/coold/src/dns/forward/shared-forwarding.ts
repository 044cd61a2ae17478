import { sharedCells } from '../counts.ts';
import type { CountedDurations } from '../shared-histogram.ts';

/** Limits and counts that the forwarders of all threads share, so that they apply to the whole process. */
export interface SharedForwarding {
  /**
   * Takes a place among waiting queries.
   *
   * @param share the listener whose limit applies; 0 when the query comes from no listener
   * @returns false when there is no place, which counts as an error
   */
  begin(maxWaiting: number, share?: number): boolean;
  end(isAnswered: boolean, share?: number): void;
  /** Records how long an upstream took to answer or until it was given up, in ms. */
  took(ms: number): void;
  /** Returns how many queries of a share wait. */
  waiting(share: number): number;
  /** Counts an answer from the cache; a stale one was sent because no upstream answered. */
  cached(isStale: boolean): void;
  /**
   * Records that a socket sends queries from this address.
   *
   * @param address IPv4 as a number; 0 for other addresses, from which no query can come back to a gateway
   */
  opened(address: number, port: number): void;
  closed(port: number): void;
  /** Whether a socket of any thread sends from there. */
  isOwn(address: number, port: number): boolean;
  stats(): { forwarded: number; errors: number; waiting: number };
  cacheStats(): { cached: number; stale: number };
  /** How long upstreams took. */
  durations(): CountedDurations;
}

/** In seconds: from a resolver in the same network to the 4.4 s after which a question is given up. */
export const durationLimits = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4.5,
] as const;

/** The shared memory, which can be passed to another thread. */
export interface ForwardingMemory {
  cells: BigInt64Array<ArrayBufferLike>;
  /** By port, the IPv4 address of our socket there as a number; 0 for none. */
  sources: Int32Array<ArrayBufferLike>;
}

const [forwardedCell, errorCell, cachedCell, staleCell, microsecondsCell, firstDurationCell] = [
  0, 1, 2, 3, 4, 5,
];
/** One for each limit, and one for longer durations. */
const firstWaitingCell = firstDurationCell + durationLimits.length + 1;

/** @param listeners the number of listeners with a share */
export function createForwardingMemory(listeners = 0): ForwardingMemory {
  const sources = new Int32Array(new SharedArrayBuffer(0x10000 * Int32Array.BYTES_PER_ELEMENT));
  return { cells: sharedCells(firstWaitingCell + 1 + listeners), sources };
}

export function createSharedForwarding({ cells, sources }: ForwardingMemory): SharedForwarding {
  const read = (cell: number) => Number(Atomics.load(cells, cell));
  const waitingCell = (share: number) => firstWaitingCell + share;
  const waitingInAll = () => {
    let sum = 0;
    for (let cell = firstWaitingCell; cell < cells.length; cell += 1) sum += read(cell);
    return sum;
  };
  return {
    begin(maxWaiting, share = 0) {
      if (Atomics.add(cells, waitingCell(share), 1n) >= maxWaiting) {
        Atomics.sub(cells, waitingCell(share), 1n);
        Atomics.add(cells, errorCell, 1n);
        return false;
      }
      Atomics.add(cells, forwardedCell, 1n);
      return true;
    },
    end(isAnswered, share = 0) {
      if (!isAnswered) Atomics.add(cells, errorCell, 1n);
      Atomics.sub(cells, waitingCell(share), 1n);
    },
    took(ms) {
      const at = durationLimits.findIndex(limit => ms <= limit * 1000);
      Atomics.add(cells, firstDurationCell + (at < 0 ? durationLimits.length : at), 1n);
      Atomics.add(cells, microsecondsCell, BigInt(Math.round(ms * 1000)));
    },
    durations() {
      let sum = 0;
      const cumulative = Array.from({ length: durationLimits.length + 1 }, (_, at) => {
        sum += read(firstDurationCell + at);
        return sum;
      });
      return { cumulative, sumSeconds: read(microsecondsCell) / 1e6 };
    },
    waiting: share => read(waitingCell(share)),
    cached: isStale => void Atomics.add(cells, isStale ? staleCell : cachedCell, 1n),
    opened: (address, port) => void Atomics.store(sources, port, address | 0),
    closed: port => void Atomics.store(sources, port, 0),
    isOwn(address, port) {
      const source = Atomics.load(sources, port);
      return source !== 0 && source === (address | 0);
    },
    stats: () => ({ forwarded: read(forwardedCell), errors: read(errorCell), waiting: waitingInAll() }),
    cacheStats: () => ({ cached: read(cachedCell), stale: read(staleCell) }),
  };
}
