import type { Address } from '@coold/runtime';
import type { Forwarding } from './forwarding.ts';
import type { Lapse } from './lapse.ts';
import type { OpenChannel } from './upstream-channel.ts';
import { openUpstreamSocket, type UpstreamSocket } from './upstream-socket.ts';

/** The sockets to one upstream. */
export interface UpstreamPool {
  /**
   * Asks over UDP, as `UpstreamSocket.ask` does.
   *
   * @returns ends it: `done` is not called any more
   */
  ask(query: Buffer, done: (answer: Buffer | undefined) => void): () => void;
  /** Takes no more queries; its sockets are closed once the last has its answer. */
  close(): void;
}

export interface UpstreamPoolOptions {
  upstream: Address;
  openChannel: OpenChannel;
  /** Knows from where we ask. */
  forwarding: Pick<Forwarding, 'opened' | 'closed'>;
  /** Of the time between two tries of a query. */
  step: Lapse;
  tries: number;
  /** The time of all tries, in ms. */
  timeoutMs: number;
  drawId: () => number;
  /** A query was not answered in the time of one try. */
  onLate(): void;
}

/**
 * Sockets open at once. A socket for each query would cost nine tenths of the throughput and three times the latency, as
 * measured; with a few for all, who guesses has the same odds of hitting port, id and question of a query, as long as the
 * ports do not stay.
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
  const { forwarding, timeoutMs, onLate, step, tries, drawId, openChannel, upstream } = options;
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
    const socket = openUpstreamSocket({ openChannel, upstream, step, tries, drawId, onOpen, onLate });
    slots[index] = { socket, uses: 1, until: now + socketLifeMs };
    return socket;
  }

  function retire({ socket }: Slot): void {
    socket.retire();
    const { port } = socket;
    // Kept in mind while its queries are on their way: they may be coming back to us. The number alone, and none where
    // there was none: while nothing can be sent, each query has a socket of its own.
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
