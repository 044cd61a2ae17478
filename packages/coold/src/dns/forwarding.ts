import { sharedCells } from './counts.ts';

/** What the forwarders of all threads know together, so that bounds and counts are of the whole process. */
export interface Forwarding {
  /** Takes a place among those that wait. @returns false: there is none, which counts as an error */
  begin(maxWaiting: number): boolean;
  end(isAnswered: boolean): void;
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
}

/** Its memory, which can be handed to another thread. */
export interface ForwardingMemory {
  cells: BigInt64Array<ArrayBufferLike>;
  /** By port: the address that a socket has there, as a number; 0: none. */
  sources: Int32Array<ArrayBufferLike>;
}

const [waitingCell, forwardedCell, errorCell, cellCount] = [0, 1, 2, 3];

export function createForwardingMemory(): ForwardingMemory {
  const sources = new Int32Array(new SharedArrayBuffer(0x10000 * Int32Array.BYTES_PER_ELEMENT));
  return { cells: sharedCells(cellCount), sources };
}

export function createForwarding({ cells, sources }: ForwardingMemory): Forwarding {
  const read = (cell: number) => Number(Atomics.load(cells, cell));
  return {
    begin(maxWaiting) {
      if (Atomics.add(cells, waitingCell, 1n) >= maxWaiting) {
        Atomics.sub(cells, waitingCell, 1n);
        Atomics.add(cells, errorCell, 1n);
        return false;
      }
      Atomics.add(cells, forwardedCell, 1n);
      return true;
    },
    end(isAnswered) {
      if (!isAnswered) Atomics.add(cells, errorCell, 1n);
      Atomics.sub(cells, waitingCell, 1n);
    },
    opened: (address, port) => void Atomics.store(sources, port, address | 0),
    closed: port => void Atomics.store(sources, port, 0),
    isOwn(address, port) {
      const source = Atomics.load(sources, port);
      return source !== 0 && source === (address | 0);
    },
    stats: () => ({ forwarded: read(forwardedCell), errors: read(errorCell), waiting: read(waitingCell) }),
  };
}
