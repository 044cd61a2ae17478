import { adaptAnswer } from './adapt-answer.ts';
import { encodeFailure, type Transport } from './answer.ts';
import type { AnswerCache, KeptAnswer } from './answer-cache.ts';
import type { ClientShare } from './client-share.ts';
import type { Forwarder } from './forwarder.ts';
import type { Forwarding } from './forwarding.ts';
import { readKeepable } from './keepable-answer.ts';
import { createLapse, type Waiting } from './lapse.ts';
import { questionKey } from './question-key.ts';
import type { Query } from './wire.ts';

/** Asks for what is outside the zone, for the clients of one namespace. */
export interface Asking {
  /**
   * @param query its packet is the caller's again once this returns
   * @param client by which the places of those that wait are shared
   * @param reply is called once, with what is the caller's until it returns; SERVFAIL where nobody answered or too many wait
   */
  ask(query: Query, transport: Transport, client: number, reply: Reply): void;
}

type Reply = (answer: Buffer) => void;

export interface AskingOptions {
  forwarder: Pick<Forwarder, 'exchange' | 'areDead'>;
  forwarding: Pick<Forwarding, 'cached'>;
  share: ClientShare;
  /** Of this namespace alone: what others ask is neither seen by it nor in its way. */
  cache: AnswerCache;
  /** Monotonic, ms. */
  now?: () => number;
}

/** Longer ones have no question that anybody means, bytes. */
const maxQueryBytes = 4096;
/** For how long after it has run out an answer is better than none (RFC 8767 §4), in ms. */
const maxStaleMs = 24 * 3_600_000;
/** In s (RFC 8767 §4). */
const staleTtl = 30;
/** Before then a client has not given up; from then on a stale answer is better (RFC 8767 §5), in ms. */
const staleAfterMs = 1800;

/** Those who wait for one answer. */
interface Flight {
  waiting: { query: Query; client: number; reply: Reply }[];
  lapse: Waiting | undefined;
  /** Who waited has a stale answer: whoever comes now need not wait. */
  isLate: boolean;
}

/**
 * Answers from the cache, else asks. Questions that have one answer are asked once, however many wait for it: so whoever wants
 * to slip in a forged answer has one query to guess, not one for each that he asks himself (RFC 5452 §5).
 */
export function createAsking(options: AskingOptions): Asking {
  const { forwarder, forwarding, share, cache, now = () => performance.now() } = options;
  const flights = new Map<string, Flight>();
  const patience = createLapse(staleAfterMs);

  /** @returns undefined: none, or none that is worth anything */
  function stale(key: string): KeptAnswer | undefined {
    const kept = cache.find(key);
    // That a name does not exist is not worth to be held up for so long: RFC 2308 has no stale answers.
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
      reply(answer ?? encodeFailure({ ...query, packet }, 'SERVFAIL'));
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
    if (flight.lapse !== undefined) patience.end(flight.lapse);
    const kept = answer === undefined ? stale(key) : undefined;
    if (kept !== undefined) {
      giveStale(flight, kept, transport);
      return;
    }
    for (const { query, client, reply } of flight.waiting) {
      share.leave(client, answer !== undefined);
      // Of whoever asked it has the id, the spelling and the size already.
      if (answer === undefined) reply(encodeFailure(query, 'SERVFAIL'));
      else reply(query === asked ? answer : adaptAnswer(answer, query, transport));
    }
    // Afterwards, since they wait.
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
      const flight: Flight = { waiting: [{ query, client, reply }], lapse: undefined, isLate: false };
      flights.set(flightKey, flight);
      // A copy for the forwarder, which changes the id: those who wait need theirs.
      forwarder.exchange(Buffer.from(given.packet), transport, answer => {
        flights.delete(flightKey);
        landed(key, flight, query, transport, answer);
      });
      const fallback = old;
      if (fallback !== undefined && flights.get(flightKey) === flight)
        flight.lapse = patience.begin(() => giveStale(flight, fallback, transport));
    },
  };
}
