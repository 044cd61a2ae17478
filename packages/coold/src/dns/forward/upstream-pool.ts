import type { Address } from '@coold/runtime';
import type { Connect } from '@coold/udp-io';
import type { DeadlineQueue } from './deadline-queue.ts';
import type { SharedForwarding } from './shared-forwarding.ts';
import { UpstreamSocket } from './upstream-socket.ts';

/** The sockets to one upstream. */
export interface UpstreamPool {
  /**
   * Asks over UDP, as `UpstreamSocket.ask` does.
   *
   * @returns a function that ends the query; `done` is not called afterwards
   */
  ask(query: Buffer, done: (answer: Buffer | undefined) => void): () => void;
  /** Takes no more queries. The sockets close once the last query is answered. */
  close(): void;
}

export interface UpstreamPoolOptions {
  upstream: Address;
  connect: Connect;
  /** Records the addresses of our sockets. */
  forwarding: Pick<SharedForwarding, 'opened' | 'closed'>;
  /** The queue for the time between two tries of a query. */
  step: DeadlineQueue;
  tries: number;
  /** The time of all tries, in ms. */
  timeoutMs: number;
  drawId: () => number;
  /** Called when a query was not answered within one try. */
  onLate(): void;
}

/**
 * The number of open sockets. A socket per query was measured to cost nine tenths of the throughput and three times the
 * latency. With a few for all queries, guessing port, id and question is as hard, as long as the ports change.
 */
const poolSize = 16;
const queriesASocket = 500;
const socketLifeMs = 30_000;

interface Slot {
  socket: UpstreamSocket;
  uses: number;
  until: number;
}

function isFit({ socket, uses, until }: Slot, now: number): boolean {
  return uses < queriesASocket && now < until && !socket.isBroken;
}

export function createUpstreamPool(options: UpstreamPoolOptions): UpstreamPool {
  const { forwarding, timeoutMs, onLate, step, tries, drawId, connect, upstream } = options;
  const slots: (Slot | undefined)[] = [];
  let isClosed = false;

  function pick(): UpstreamSocket {
    const index = Math.floor(Math.random() * poolSize);
    const slot = slots[index];
    const now = performance.now();
    if (slot !== undefined && isFit(slot, now)) {
      slot.uses += 1;
      return slot.socket;
    }
    if (slot !== undefined) retire(slot);
    const onOpen = forwarding.opened;
    const socket = new UpstreamSocket({ connect, upstream, step, tries, drawId, onOpen, onLate });
    slots[index] = { socket, uses: 1, until: now + socketLifeMs };
    return socket;
  }

  function retire({ socket }: Slot): void {
    socket.retire();
    const { port } = socket;
    // Remembered while its queries may still come back to us. Only the port number is kept, and none for a socket
    // without one: while nothing can be sent, each query has a socket of its own.
    if (port !== 0) setTimeout(forwarding.closed, timeoutMs, port).unref();
  }

  return {
    ask(query, done) {
      if (!isClosed) return pick().ask(query, done);
      done(undefined);
      return () => {};
    },
    close() {
      isClosed = true;
      for (const slot of slots) if (slot !== undefined) retire(slot);
      slots.length = 0;
    },
  };
}
