import type { Query } from '../wire.ts';
import { encodeFailure, type Transport } from '../zone/answer.ts';
import { adaptAnswer, fitAnswer } from './adapt-answer.ts';
import type { AnswerCache, KeptAnswer } from './answer-cache.ts';
import type { ClientShare } from './client-share.ts';
import { createDeadlineQueue, type Waiting } from './deadline-queue.ts';
import type { Forwarder } from './forwarder.ts';
import type { Forwarding } from './forwarding.ts';
import { readKeepable } from './keepable-answer.ts';
import { questionKey } from './question-key.ts';

/** Answers questions outside the zone for the clients of one namespace. */
export interface Asking {
  /**
   * @param query its packet belongs to the caller again once this returns
   *
   * @param client identifies the client, for sharing places in the queue
   * @param reply is called once, with a buffer that is valid until it returns; SERVFAIL when no upstream answered or
   * too many wait
   */
  ask(query: Query, transport: Transport, client: number, reply: Reply): void;
}

type Reply = (answer: Buffer) => void;

export interface AskingOptions {
  forwarder: Pick<Forwarder, 'exchange' | 'areDead'>;
  forwarding: Pick<Forwarding, 'cached'>;
  share: ClientShare;
  /** Belongs to this namespace alone, so that namespaces neither see nor slow each other's questions. */
  cache: AnswerCache;
  /** Monotonic, in ms. */
  now?: () => number;
}

/** The longest query that is forwarded, in bytes: no sensible question is longer. */
const maxQueryBytes = 4096;
/** How long an expired answer is still better than none (RFC 8767 §4), in ms. */
const maxStaleMs = 24 * 3_600_000;
/** The TTL of a stale answer, in s (RFC 8767 §4). */
const staleTtl = 30;
/** How long a client waits before it gets a stale answer (RFC 8767 §5), in ms. It has not given up by then. */
const staleAfterMs = 1800;

/** The clients that wait for one answer. */
interface Flight {
  waiting: { query: Query; client: number; reply: Reply }[];
  deadlines: Waiting | undefined;
  /** Whether the waiting clients got a stale answer: a client that comes now gets one at once. */
  isLate: boolean;
}

/**
 * Answers from the cache, else asks. Questions with the same answer are asked once, however many clients wait: so an
 * attacker who forges answers has one query to guess, not one for each of his own questions (RFC 5452 §5).
 */
export function createAsking(options: AskingOptions): Asking {
  const { forwarder, forwarding, share, cache, now = () => performance.now() } = options;
  const flights = new Map<string, Flight>();
  const patience = createDeadlineQueue(staleAfterMs);

  /** @returns undefined when there is none that is worth sending */
  function stale(key: string): KeptAnswer | undefined {
    const kept = cache.find(key);
    // "No such name" is not kept beyond its time: RFC 2308 knows no stale negative answers.
    if (kept === undefined || kept.isNoSuchName) return undefined;
    return now() - kept.keptAt < kept.ttl * 1000 + maxStaleMs ? kept : undefined;
  }

  function adaptStale(kept: KeptAnswer, query: Query, transport: Transport): Buffer {
    forwarding.cached(true);
    return adaptAnswer(kept.message, query, transport, { kept, ttlNow: () => staleTtl });
  }

  function alone(query: Query, transport: Transport, client: number, reply: Reply): void {
    const packet = Buffer.from(query.packet);
    forwarder.exchange(packet, transport, answer => {
      share.leave(client, answer !== undefined);
      const asked = { ...query, packet };
      reply(answer === undefined ? encodeFailure(asked, 'SERVFAIL') : fitAnswer(answer, asked, transport));
    });
  }

  function giveStale(flight: Flight, kept: KeptAnswer, transport: Transport): void {
    flight.isLate = true;
    for (const { query, client, reply } of flight.waiting.splice(0)) {
      share.leave(client, true);
      reply(adaptStale(kept, query, transport));
    }
  }

  function landed(
    key: string,
    flight: Flight,
    asked: Query,
    transport: Transport,
    answer: Buffer | undefined,
  ): void {
    if (flight.deadlines !== undefined) patience.end(flight.deadlines);
    const kept = answer === undefined ? stale(key) : undefined;
    if (kept !== undefined) {
      giveStale(flight, kept, transport);
      return;
    }
    for (const { query, client, reply } of flight.waiting) {
      share.leave(client, answer !== undefined);
      // For the first client, the answer has the right id, spelling and size already.
      if (answer === undefined) reply(encodeFailure(query, 'SERVFAIL'));
      else
        reply(query === asked ? fitAnswer(answer, query, transport) : adaptAnswer(answer, query, transport));
    }
    // Caching comes after the reply, because clients wait for that.
    if (answer === undefined) return;
    const keepable = readKeepable(answer, asked.questionEnd, asked.type, asked.edns !== undefined);
    if (keepable !== undefined) cache.keep(key, answer, keepable, now());
  }

  return {
    ask(given, transport, client, reply) {
      const key = given.packet.length > maxQueryBytes ? undefined : questionKey(given);
      let old: KeptAnswer | undefined;
      if (key !== undefined) {
        const kept = cache.find(key);
        if (kept !== undefined) {
          const age = Math.floor((now() - kept.keptAt) / 1000);
          if (age < kept.ttl) {
            forwarding.cached(false);
            const most = kept.ttl;
            const ttlNow = (ttl: number) => Math.max(0, (kept.isNegative ? Math.min(ttl, most) : ttl) - age);
            reply(adaptAnswer(kept.message, given, transport, { kept, ttlNow }));
            return;
          }
          old = stale(key);
          const isLate = flights.get(transport + key)?.isLate ?? false;
          if (old !== undefined && (isLate || forwarder.areDead())) {
            reply(adaptStale(old, given, transport));
            return;
          }
        }
      }
      if (given.packet.length > maxQueryBytes || !share.take(client)) {
        reply(encodeFailure(given, 'SERVFAIL'));
        return;
      }
      if (key === undefined) {
        alone(given, transport, client, reply);
        return;
      }
      const query = { ...given, packet: Buffer.from(given.packet) };
      const flightKey = transport + key;
      const under = flights.get(flightKey);
      if (under !== undefined) {
        under.waiting.push({ query, client, reply });
        return;
      }
      const flight: Flight = { waiting: [{ query, client, reply }], deadlines: undefined, isLate: false };
      flights.set(flightKey, flight);
      // A copy for the forwarder, which changes the id; those who wait need their own.
      forwarder.exchange(Buffer.from(given.packet), transport, answer => {
        flights.delete(flightKey);
        landed(key, flight, query, transport, answer);
      });
      const fallback = old;
      if (fallback !== undefined && flights.get(flightKey) === flight)
        flight.deadlines = patience.begin(() => giveStale(flight, fallback, transport));
    },
  };
}
