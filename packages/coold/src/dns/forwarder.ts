import type { Address } from '@coold/runtime';
import type { Transport } from './answer.ts';
import { isTruncated, withId } from './exchange.ts';
import { createForwarding, createForwardingMemory, type Forwarding } from './forwarding.ts';
import { openUpstreamSocket, type UpstreamSocket } from './upstream-socket.ts';
import { askOverTcp } from './upstream-tcp.ts';
import { uint16 } from './wire.ts';

export interface Forwarder {
  /**
   * Asks the upstream. Its answer is unchanged but for the id, which is the query's; where the upstream has more to say
   * than fits into UDP, a client that came over TCP gets it all.
   *
   * @returns undefined: no answer in time, no way there, or too many already wait
   */
  ask(query: Buffer, transport: Transport): Promise<Buffer | undefined>;
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
  uses: number;
  until: number;
}

/** Hands queries on to the upstream (CONTRACT §6). Never more than `maxWaiting` wait, whatever the upstream does. */
export function createForwarder({
  upstream,
  timeoutMs = 2000,
  maxWaiting = 1000,
  forwarding = createForwarding(createForwardingMemory()),
}: ForwarderOptions): Forwarder {
  const slots: (Slot | undefined)[] = [];
  let isClosed = false;

  function pick(): Promise<UpstreamSocket> {
    const index = Math.floor(Math.random() * poolSize);
    const slot = slots[index];
    const now = performance.now();
    if (slot !== undefined && slot.uses < queriesASocket && now < slot.until) {
      slot.uses += 1;
      return slot.opened;
    }
    if (slot !== undefined) retire(slot);
    const opened = openUpstreamSocket(upstream);
    slots[index] = { opened, uses: 1, until: now + socketLifeMs };
    opened.then(
      socket => (isClosed ? socket.retire() : forwarding.opened(socket.address, socket.port)),
      () => {
        if (slots[index]?.opened === opened) slots[index] = undefined;
      },
    );
    return opened;
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

  async function exchange(query: Buffer, transport: Transport): Promise<Buffer | undefined> {
    const deadline = performance.now() + timeoutMs;
    const socket = await pick();
    const answer = await socket.ask(query, timeoutMs);
    if (answer === undefined || transport === 'udp' || !isTruncated(answer)) return answer;
    // A truncated answer is no answer for who came over TCP to get it whole.
    return askOverTcp(upstream, query, Math.max(1, deadline - performance.now()));
  }

  return {
    async ask(query, transport) {
      if (isClosed || !forwarding.begin(maxWaiting)) return undefined;
      const answer = await exchange(query, transport).catch(() => undefined);
      forwarding.end(answer !== undefined);
      return answer === undefined ? undefined : withId(answer, uint16(query, 0));
    },
    isOwn: forwarding.isOwn,
    stats: forwarding.stats,
    close() {
      isClosed = true;
      for (const slot of slots) if (slot !== undefined) retire(slot);
    },
  };
}
