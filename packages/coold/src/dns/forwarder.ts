import type { Address } from '@coold/runtime';
import type { Transport } from './answer.ts';
import { isTruncated } from './exchange.ts';
import { createForwarding, createForwardingMemory, type Forwarding } from './forwarding.ts';
import { createLapse } from './lapse.ts';
import { openNodeChannel } from './node-channel.ts';
import { createRandomIds } from './random-ids.ts';
import type { OpenChannel } from './upstream-channel.ts';
import { openUpstreamSocket, type UpstreamSocket } from './upstream-socket.ts';
import { askOverTcp } from './upstream-tcp.ts';
import { uint16 } from './wire.ts';

export interface Forwarder {
  /**
   * Asks the upstream. Its answer is unchanged but for the id, which is the query's; where the upstream has more to say
   * than fits into UDP, a client that came over TCP gets it all.
   *
   * @param query is the forwarder's own until `done` is called, and then as it was
   * @param done is called once, with what is the caller's until it returns; undefined: no answer in time, no way there,
   * or too many already wait
   */
  ask(query: Buffer, transport: Transport, done: (answer: Buffer | undefined) => void): void;
  /** Whether a message that came from this address is one of ours: a loop. */
  isOwn(address: number, port: number): boolean;
  stats(): { forwarded: number; errors: number; waiting: number };
  close(): void;
}

export interface ForwarderOptions {
  upstream: Address;
  /** For one query, all its tries together, in ms. */
  timeoutMs?: number;
  /** Queries that may wait at once, of all that share `forwarding`; one more is given up at once. */
  maxWaiting?: number;
  /** Shared with other threads; undefined: with none. */
  forwarding?: Forwarding;
  /** How it asks over UDP; undefined: as Node does. */
  openChannel?: OpenChannel;
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

type Done = (answer: Buffer | undefined) => void;

/**
 * Hands queries on to the upstream (docs/contract.md §6). Never more than `maxWaiting` wait, whatever the upstream
 * does.
 */
export function createForwarder({
  upstream,
  timeoutMs = 2000,
  maxWaiting = 1000,
  forwarding = createForwarding(createForwardingMemory()),
  openChannel = openNodeChannel,
}: ForwarderOptions): Forwarder {
  const slots: (Slot | undefined)[] = [];
  const drawId = createRandomIds();
  const half = createLapse(timeoutMs / 2);
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
    const socket = openUpstreamSocket({ openChannel, upstream, half, drawId, onOpen: forwarding.opened });
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

  function overUdp(query: Buffer, done: Done): void {
    pick().ask(query, done);
  }

  /** A truncated answer is no answer for who came over TCP to get it whole. */
  function whole(query: Buffer, done: Done): void {
    const deadline = performance.now() + timeoutMs;
    overUdp(query, answer => {
      if (answer === undefined || !isTruncated(answer)) done(answer);
      else void askOverTcp(upstream, query, Math.max(1, deadline - performance.now())).then(done);
    });
  }

  return {
    ask(query, transport, done) {
      if (isClosed || !forwarding.begin(maxWaiting)) {
        done(undefined);
        return;
      }
      const id = uint16(query, 0);
      const exchange = transport === 'udp' ? overUdp : whole;
      exchange(query, answer => {
        // In place; where there is no answer, whoever asked can say so to the question as it was.
        (answer ?? query).writeUInt16BE(id, 0);
        // First, so that whoever has an answer finds it counted.
        forwarding.end(answer !== undefined);
        done(answer);
      });
    },
    isOwn: forwarding.isOwn,
    stats: forwarding.stats,
    close() {
      isClosed = true;
      for (const slot of slots) if (slot !== undefined) retire(slot);
    },
  };
}
