import { type Connect, connectByNode } from '@coold/udp-io';
import { uint16 } from '../wire.ts';
import type { Transport } from '../zone/answer.ts';
import { type AskableUpstream, createAskUpstreams } from './ask-upstreams.ts';
import { createDeadlineQueue, type DeadlineQueue } from './deadline-queue.ts';
import { isRefusal, isTruncated } from './exchange.ts';
import { createRandomIds } from './random-ids.ts';
import {
  createForwardingMemory,
  createSharedForwarding,
  type SharedForwarding,
} from './shared-forwarding.ts';
import {
  createHealthMemory,
  createUpstreamHealth,
  type PlacedUpstream,
  type UpstreamHealth,
} from './upstream-health.ts';
import { createUpstreamPool } from './upstream-pool.ts';
import { askOverTcp } from './upstream-tcp.ts';

type Done = (answer: Buffer | undefined) => void;
type Ask = (query: Buffer, transport: Transport, done: Done) => void;

export interface Forwarder {
  /**
   * Asks the upstreams. The answer is unchanged except for the id, which is the query's. When an upstream's answer does
   * not fit into UDP, a client that came over TCP gets all of it.
   *
   * @param query may be changed until `done` is called, and is then restored
   * @param done is called once, with a buffer that is valid until it returns; undefined for no answer in time, no
   * route, or too many waiting
   */
  ask: Ask;
  /** The same without a limit on waiting queries and without counting, which are the caller's. */
  exchange: Ask;
  /** Replaces the upstreams. Queries in flight may still be answered by the former ones. */
  use(upstreams: readonly PlacedUpstream[]): void;
  /** Asks one upstream, dead or not, whether it answers anything at all. */
  probe(place: number, done: (isAnswered: boolean) => void): void;
  /** Whether all upstreams are known to be dead. */
  areDead(): boolean;
  /** Whether a message from this address is one of our own queries, in a loop. */
  isOwn(address: number, port: number): boolean;
  stats(): { forwarded: number; errors: number; waiting: number };
  close(): void;
}

export interface ForwarderOptions {
  /** In the order in which they are asked. */
  upstreams: readonly PlacedUpstream[];
  /** The time for one query with all its tries, in ms. */
  timeoutMs?: number;
  /**
   * The most queries of `ask` that may wait, over all forwarders with the same `forwarding`; another one fails at once.
   */
  maxWaiting?: number;
  /** State shared with other threads; undefined for none. */
  forwarding?: SharedForwarding;
  /** Like `forwarding`. */
  health?: UpstreamHealth;
  /** Opens UDP sockets; undefined for Node's. */
  connect?: Connect;
}

/** The tries of one query. After each, another upstream is asked as well. */
const tries = 4;

/** Less than the 5 s after which most clients give up, even when each try ends late because threads check timers late. */
const defaultTimeoutMs = 4400;

/** Asks for the name servers of the root: any resolver knows them, or refuses at once. */
const probeQuery = Buffer.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]);

export function createForwarder(options: ForwarderOptions): Forwarder {
  return new UpstreamForwarder(options);
}

/** Forwards queries to the upstreams (docs/contract.md §6). */
class UpstreamForwarder implements Forwarder {
  readonly #timeoutMs: number;
  readonly #maxWaiting: number;
  readonly #forwarding: SharedForwarding;
  readonly #health: UpstreamHealth;
  readonly #connect: Connect;
  readonly #drawId = createRandomIds();
  readonly #step: DeadlineQueue;
  readonly #askUpstreams: ReturnType<typeof createAskUpstreams>;
  #upstreams: AskableUpstream[];
  #isClosed = false;

  constructor({
    upstreams,
    timeoutMs = defaultTimeoutMs,
    maxWaiting = 1000,
    forwarding = createSharedForwarding(createForwardingMemory()),
    health = createUpstreamHealth(createHealthMemory()),
    connect = connectByNode,
  }: ForwarderOptions) {
    this.#timeoutMs = timeoutMs;
    this.#maxWaiting = maxWaiting;
    this.#forwarding = forwarding;
    this.#health = health;
    this.#connect = connect;
    this.#step = createDeadlineQueue(timeoutMs / tries);
    this.#askUpstreams = createAskUpstreams({ health, step: this.#step, steps: tries });
    this.#upstreams = upstreams.map(each => this.#open(each));
  }

  ask(query: Buffer, transport: Transport, done: Done): void {
    if (this.#isClosed || !this.#forwarding.begin(this.#maxWaiting)) {
      done(undefined);
      return;
    }
    this.exchange(query, transport, answer => {
      // Counted before the reply, so that a client with its answer finds it counted.
      this.#forwarding.end(answer !== undefined);
      done(answer);
    });
  }

  exchange(query: Buffer, transport: Transport, done: Done): void {
    if (this.#isClosed) {
      done(undefined);
      return;
    }
    const id = uint16(query, 0);
    const startedAt = performance.now();
    const answered = (answer: Buffer | undefined) => {
      this.#forwarding.took(performance.now() - startedAt);
      // Restores the id in place. Without an answer, the caller answers the query itself.
      (answer ?? query).writeUInt16BE(id, 0);
      done(answer);
    };
    if (transport === 'udp') this.#askUpstreams(this.#upstreams, query, answered);
    else this.#askForWhole(query, answered);
  }

  use(next: readonly PlacedUpstream[]): void {
    const before = this.#upstreams;
    this.#upstreams = next.map(wanted => before.find(known => isSame(known, wanted)) ?? this.#open(wanted));
    for (const left of before) if (!this.#upstreams.includes(left)) left.pool.close();
  }

  probe(place: number, done: (isAnswered: boolean) => void): void {
    const upstream = this.#upstreams.find(each => each.place === place);
    if (upstream === undefined) {
      done(false);
      return;
    }
    upstream.pool.ask(Buffer.from(probeQuery), answer => {
      if (answer === undefined) this.#health.unanswered(place);
      else this.#health.answered(place);
      done(answer !== undefined);
    });
  }

  areDead(): boolean {
    return this.#upstreams.every(({ place }) => this.#health.isDead(place));
  }

  isOwn(address: number, port: number): boolean {
    return this.#forwarding.isOwn(address, port);
  }

  stats(): ReturnType<Forwarder['stats']> {
    return this.#forwarding.stats();
  }

  close(): void {
    this.#isClosed = true;
    for (const { pool } of this.#upstreams) pool.close();
  }

  #open({ address, place }: PlacedUpstream): AskableUpstream {
    const pool = createUpstreamPool({
      upstream: address,
      connect: this.#connect,
      forwarding: this.#forwarding,
      step: this.#step,
      tries,
      timeoutMs: this.#timeoutMs,
      drawId: this.#drawId,
      onLate: () => this.#health.unanswered(place),
    });
    return { address, place, pool };
  }

  /**
   * Gets a complete answer for a client that came over TCP. The upstream that sent a truncated answer is asked over
   * TCP, then the others, each with its share of the time: some networks pass DNS over UDP only.
   */
  #askForWhole(query: Buffer, done: Done): void {
    const deadline = performance.now() + this.#timeoutMs;
    this.#askUpstreams(this.#upstreams, query, (answer, from) => {
      if (answer === undefined || from === undefined || !isTruncated(answer)) {
        done(answer);
        return;
      }
      const others = this.#upstreams.filter(each => each !== from && !this.#health.isDead(each.place));
      void askInTurn([from, ...others], query, deadline).then(done);
    });
  }
}

/** @returns the first answer that is no refusal, else the first refusal; undefined when none answers until `deadline` */
async function askInTurn(
  order: readonly AskableUpstream[],
  query: Buffer,
  deadline: number,
): Promise<Buffer | undefined> {
  let refusal: Buffer | undefined;
  for (const [index, { address }] of order.entries()) {
    const left = (deadline - performance.now()) / (order.length - index);
    if (left <= 0) break;
    const answer = await askOverTcp(address, query, left);
    if (answer !== undefined && !isRefusal(answer)) return answer;
    refusal ??= answer;
  }
  return refusal;
}

function isSame(a: PlacedUpstream, b: PlacedUpstream): boolean {
  return a.place === b.place && a.address.host === b.address.host && a.address.port === b.address.port;
}
