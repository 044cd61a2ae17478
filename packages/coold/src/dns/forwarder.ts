import type { Address } from '@coold/runtime';
import type { Transport } from './answer.ts';
import { isTruncated } from './exchange.ts';
import { createForwarding, createForwardingMemory, type Forwarding } from './forwarding.ts';
import { createLapse } from './lapse.ts';
import { openUpstreamSocket, type UpstreamSocket } from './upstream-socket.ts';
import { askOverTcp } from './upstream-tcp.ts';
import { uint16 } from './wire.ts';

export interface Forwarder {
  /**
   * Asks the upstream. Its answer is unchanged but for the id, which is the query's; where the upstream has more to say
   * than fits into UDP, a client that came over TCP gets it all.
   *
   * @param done is called once; undefined: no answer in time, no way there, or too many already wait
   */
  ask(query: Buffer, transport: Transport, done: (answer: Buffer | undefined) => void): void;
  /** Whether a message that came from this address is one of ours: a loop. */
  isOwn(address: string, port: number): boolean;
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
  opened: Promise<UpstreamSocket>;
  /** Once it is open. */
  socket: UpstreamSocket | undefined;
  uses: number;
  until: number;
}

function isFit({ socket, uses, until }: Slot, now: number): boolean {
  return uses < queriesASocket && now < until && socket?.isBroken !== true;
}

type Done = (answer: Buffer | undefined) => void;

/** Hands queries on to the upstream (CONTRACT §6). Never more than `maxWaiting` wait, whatever the upstream does. */
export function createForwarder({
  upstream,
  timeoutMs = 2000,
  maxWaiting = 1000,
  forwarding = createForwarding(createForwardingMemory()),
}: ForwarderOptions): Forwarder {
  const slots: (Slot | undefined)[] = [];
  const half = createLapse(timeoutMs / 2);
  let isClosed = false;

  function pick(): Slot {
    const index = Math.floor(Math.random() * poolSize);
    const slot = slots[index];
    const now = performance.now();
    if (slot !== undefined && isFit(slot, now)) {
      slot.uses += 1;
      return slot;
    }
    if (slot !== undefined) retire(slot);
    const opened = openUpstreamSocket(upstream, half);
    const made: Slot = { opened, socket: undefined, uses: 1, until: now + socketLifeMs };
    slots[index] = made;
    opened.then(
      socket => {
        made.socket = socket;
        if (isClosed) socket.retire();
        else forwarding.opened(socket.address, socket.port);
      },
      () => {
        if (slots[index] === made) slots[index] = undefined;
      },
    );
    return made;
  }

  function retire(slot: Slot): void {
    slot.opened.then(
      socket => {
        socket.retire();
        // Kept in mind while its queries are on their way: they may be coming back to us.
        setTimeout(() => forwarding.closed(socket.port), timeoutMs).unref();
      },
      () => {},
    );
  }

  function overUdp(query: Buffer, done: Done): void {
    const { socket, opened } = pick();
    if (socket !== undefined) socket.ask(query, done);
    else
      opened.then(
        open => open.ask(query, done),
        () => done(undefined),
      );
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
      const exchange = transport === 'udp' ? overUdp : whole;
      exchange(query, answer => {
        forwarding.end(answer !== undefined);
        // In place: nobody else has the message.
        answer?.writeUInt16BE(uint16(query, 0), 0);
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
