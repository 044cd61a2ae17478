import type { Query } from '../wire.ts';
import { encodeFailure, type Transport } from '../zone/answer.ts';
import { adaptAnswer, fitAnswer } from './adapt-answer.ts';
import type { AnswerCache, KeptAnswer } from './answer-cache.ts';
import type { ClientShare } from './client-share.ts';
import { createDeadlineQueue, type Waiting } from './deadline-queue.ts';
import type { Forwarder } from './forwarder.ts';
import { readKeepable } from './keepable-answer.ts';
import { questionKey } from './question-key.ts';
import type { SharedForwarding } from './shared-forwarding.ts';

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
  forwarding: Pick<SharedForwarding, 'cached'>;
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

/** A client that waits for an answer. */
interface WaitingClient {
  query: Query;
  client: number;
  reply: Reply;
}

/** One query to the upstreams, and the clients that wait for its answer. */
interface Flight {
  /** Of the answer in the cache. */
  readonly key: string;
  readonly transport: Transport;
  /** The query that is sent; its answer has the right id, spelling and size for that one. */
  readonly asked: Query;
  waiting: WaitingClient[];
  deadlines: Waiting | undefined;
  /** Whether the waiting clients got a stale answer: a client that comes now gets one at once. */
  isLate: boolean;
}

export function createAsking(options: AskingOptions): Asking {
  return new NamespaceAsking(options);
}

/**
 * Answers from the cache, else asks. Questions with the same answer are asked once, however many clients wait: so an
 * attacker who forges answers has one query to guess, not one for each of his own questions (RFC 5452 §5).
 */
class NamespaceAsking implements Asking {
  readonly #forwarder: AskingOptions['forwarder'];
  readonly #forwarding: AskingOptions['forwarding'];
  readonly #share: ClientShare;
  readonly #cache: AnswerCache;
  readonly #now: () => number;
  /** By transport and key. */
  readonly #flights = new Map<string, Flight>();
  readonly #patience = createDeadlineQueue(staleAfterMs);

  constructor({ forwarder, forwarding, share, cache, now = () => performance.now() }: AskingOptions) {
    this.#forwarder = forwarder;
    this.#forwarding = forwarding;
    this.#share = share;
    this.#cache = cache;
    this.#now = now;
  }

  ask(query: Query, transport: Transport, client: number, reply: Reply): void {
    const isTooLong = query.packet.length > maxQueryBytes;
    const key = isTooLong ? undefined : questionKey(query);
    const cached = key === undefined ? undefined : this.#fromCache(key, query, transport);
    if (cached !== undefined) reply(cached);
    else if (isTooLong || !this.#share.take(client)) reply(encodeFailure(query, 'SERVFAIL'));
    else if (key === undefined) this.#askAlone(query, transport, client, reply);
    else this.#askOnce(key, query, transport, client, reply);
  }

  /** Returns the answer that can be given at once: a fresh one, or a stale one where no upstream answers in time. */
  #fromCache(key: string, query: Query, transport: Transport): Buffer | undefined {
    const kept = this.#cache.find(key);
    if (kept === undefined) return undefined;
    const age = Math.floor((this.#now() - kept.keptAt) / 1000);
    if (age < kept.ttl) {
      this.#forwarding.cached(false);
      const ttlNow = (ttl: number) => Math.max(0, (kept.isNegative ? Math.min(ttl, kept.ttl) : ttl) - age);
      return adaptAnswer(kept.message, query, transport, { kept, ttlNow });
    }
    const old = this.#stale(key);
    if (old === undefined) return undefined;
    const isLate = this.#flights.get(transport + key)?.isLate ?? false;
    return isLate || this.#forwarder.areDead() ? this.#adaptStale(old, query, transport) : undefined;
  }

  /** @returns undefined when there is none that is worth sending */
  #stale(key: string): KeptAnswer | undefined {
    const kept = this.#cache.find(key);
    // "No such name" is not kept beyond its time: RFC 2308 knows no stale negative answers.
    if (kept === undefined || kept.isNoSuchName) return undefined;
    return this.#now() - kept.keptAt < kept.ttl * 1000 + maxStaleMs ? kept : undefined;
  }

  #adaptStale(kept: KeptAnswer, query: Query, transport: Transport): Buffer {
    this.#forwarding.cached(true);
    return adaptAnswer(kept.message, query, transport, { kept, ttlNow: () => staleTtl });
  }

  /** Asks a question whose answer is not the same for every client. */
  #askAlone(query: Query, transport: Transport, client: number, reply: Reply): void {
    const packet = Buffer.from(query.packet);
    this.#forwarder.exchange(packet, transport, answer => {
      this.#share.leave(client, answer !== undefined);
      const asked = { ...query, packet };
      reply(answer === undefined ? encodeFailure(asked, 'SERVFAIL') : fitAnswer(answer, asked, transport));
    });
  }

  /** Waits for the answer to the same question, which is asked if it is not being asked already. */
  #askOnce(key: string, given: Query, transport: Transport, client: number, reply: Reply): void {
    const query = { ...given, packet: Buffer.from(given.packet) };
    const flightKey = transport + key;
    const underWay = this.#flights.get(flightKey);
    if (underWay !== undefined) {
      underWay.waiting.push({ query, client, reply });
      return;
    }
    const waiting = [{ query, client, reply }];
    const flight: Flight = { key, transport, asked: query, waiting, deadlines: undefined, isLate: false };
    this.#flights.set(flightKey, flight);
    // A copy for the forwarder, which changes the id; those who wait need their own.
    this.#forwarder.exchange(Buffer.from(given.packet), transport, answer => {
      this.#flights.delete(flightKey);
      this.#land(flight, answer);
    });
    const fallback = this.#stale(key);
    if (fallback !== undefined && this.#flights.get(flightKey) === flight)
      flight.deadlines = this.#patience.begin(() => this.#giveStale(flight, fallback));
  }

  #giveStale(flight: Flight, kept: KeptAnswer): void {
    flight.isLate = true;
    for (const { query, client, reply } of flight.waiting.splice(0)) {
      this.#share.leave(client, true);
      reply(this.#adaptStale(kept, query, flight.transport));
    }
  }

  /** Replies to all that wait for a flight, and keeps the answer. @param answer undefined: no upstream answered */
  #land(flight: Flight, answer: Buffer | undefined): void {
    const { key, transport, asked } = flight;
    if (flight.deadlines !== undefined) this.#patience.end(flight.deadlines);
    const kept = answer === undefined ? this.#stale(key) : undefined;
    if (kept !== undefined) {
      this.#giveStale(flight, kept);
      return;
    }
    for (const { query, client, reply } of flight.waiting) {
      this.#share.leave(client, answer !== undefined);
      if (answer === undefined) reply(encodeFailure(query, 'SERVFAIL'));
      else
        reply(query === asked ? fitAnswer(answer, query, transport) : adaptAnswer(answer, query, transport));
    }
    // Caching comes after the reply, because clients wait for that.
    if (answer === undefined) return;
    const keepable = readKeepable(answer, asked.questionEnd, asked.type, asked.edns !== undefined);
    if (keepable !== undefined) this.#cache.keep(key, answer, keepable, this.#now());
  }
}
