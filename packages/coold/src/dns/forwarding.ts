import { sharedCells } from './counts.ts';

/** What the forwarders of all threads know together, so that bounds and counts are of the whole process. */
export interface Forwarding {
  /**
   * Takes a place among those that wait.
   *
   * @param share whose bound it is: 0 is of those that no listener asks for
   * @returns false: there is none, which counts as an error
   */
  begin(maxWaiting: number, share?: number): boolean;
  end(isAnswered: boolean, share?: number): void;
  /** How many of a share wait. */
  waiting(share: number): number;
  /** One was answered from the cache, or, where it is stale, because nobody else answered. */
  cached(isStale: boolean): void;
  /**
   * A socket asks the upstream from there.
   *
   * @param address IPv4, as a number; of others, 0, no query can come back to a gateway
   */
  opened(address: number, port: number): void;
  closed(port: number): void;
  /** Whether a socket of any thread asks from there. */
  isOwn(address: number, port: number): boolean;
  stats(): { forwarded: number; errors: number; waiting: number };
  cacheStats(): { cached: number; stale: number };
}

/** Its memory, which can be handed to another thread. */
export interface ForwardingMemory {
  cells: BigInt64Array<ArrayBufferLike>;
  /** By port: the address that a socket has there, as a number; 0: none. */
  sources: Int32Array<ArrayBufferLike>;
}

const [forwardedCell, errorCell, cachedCell, staleCell, firstWaitingCell] = [0, 1, 2, 3, 4];

/** @param listeners that have a share each */
export function createForwardingMemory(listeners = 0): ForwardingMemory {
  const sources = new Int32Array(new SharedArrayBuffer(0x10000 * Int32Array.BYTES_PER_ELEMENT));
  return { cells: sharedCells(firstWaitingCell + 1 + listeners), sources };
}

export function createForwarding({ cells, sources }: ForwardingMemory): Forwarding {
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
