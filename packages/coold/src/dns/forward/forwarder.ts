import { type Connect, connectByNode } from '@coold/udp-io';
import { uint16 } from '../wire.ts';
import type { Transport } from '../zone/answer.ts';
import { type Answered, type AskableUpstream, createAskUpstreams } from './ask-upstreams.ts';
import { createDeadlineQueue } from './deadline-queue.ts';
import { isRefusal, isTruncated } from './exchange.ts';
import { createForwarding, createForwardingMemory, type Forwarding } from './forwarding.ts';
import { createRandomIds } from './random-ids.ts';
import {
  createHealthMemory,
  createUpstreamHealth,
  type PlacedUpstream,
  type UpstreamHealth,
} from './upstream-health.ts';
import { createUpstreamPool } from './upstream-pool.ts';
import { askOverTcp } from './upstream-tcp.ts';

type Ask = (query: Buffer, transport: Transport, done: (answer: Buffer | undefined) => void) => void;

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
  forwarding?: Forwarding;
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

/** Forwards queries to the upstreams (docs/contract.md §6). */
export function createForwarder({
  upstreams,
  timeoutMs = defaultTimeoutMs,
  maxWaiting = 1000,
  forwarding = createForwarding(createForwardingMemory()),
  health = createUpstreamHealth(createHealthMemory()),
  connect = connectByNode,
}: ForwarderOptions): Forwarder {
  const drawId = createRandomIds();
  const step = createDeadlineQueue(timeoutMs / tries);
  const askUpstreams = createAskUpstreams({ health, step, steps: tries });
  let isClosed = false;

  const open = ({ address, place }: PlacedUpstream): AskableUpstream => ({
    address,
    place,
    pool: createUpstreamPool({
      upstream: address,
      connect,
      forwarding,
      step,
      tries,
      timeoutMs,
      drawId,
      onLate: () => health.unanswered(place),
    }),
  });
  let askable = upstreams.map(open);

  function overUdp(query: Buffer, done: Answered): void {
    askUpstreams(askable, query, done);
  }

  /**
   * Gets a complete answer for a client that came over TCP. The upstream that sent a truncated answer is asked over
   * TCP, then the others, each with its share of the time: some networks pass DNS over UDP only.
   */
  function whole(query: Buffer, done: Answered): void {
    const deadline = performance.now() + timeoutMs;
    overUdp(query, (answer, from) => {
      if (answer === undefined || from === undefined || !isTruncated(answer)) {
        done(answer);
        return;
      }
      const others = askable.filter(each => each !== from && !health.isDead(each.place));
      void askInTurn([from, ...others], query, deadline).then(done);
    });
  }

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

  const exchange: Ask = (query, transport, done) => {
    if (isClosed) {
      done(undefined);
      return;
    }
    const id = uint16(query, 0);
    const asking = transport === 'udp' ? overUdp : whole;
    const startedAt = performance.now();
    asking(query, answer => {
      forwarding.took(performance.now() - startedAt);
      // Restores the id in place. Without an answer, the caller answers the query itself.
      (answer ?? query).writeUInt16BE(id, 0);
      done(answer);
    });
  };

  return {
    ask(query, transport, done) {
      if (isClosed || !forwarding.begin(maxWaiting)) {
        done(undefined);
        return;
      }
      exchange(query, transport, answer => {
        // Counted before the reply, so that a client with its answer finds it counted.
        forwarding.end(answer !== undefined);
        done(answer);
      });
    },
    exchange,
    use(next) {
      const before = askable;
      const isSame = (a: PlacedUpstream, b: PlacedUpstream) =>
        a.place === b.place && a.address.host === b.address.host && a.address.port === b.address.port;
      askable = next.map(wanted => before.find(known => isSame(known, wanted)) ?? open(wanted));
      for (const left of before) if (!askable.includes(left)) left.pool.close();
    },
    probe(place, done) {
      const upstream = askable.find(each => each.place === place);
      if (upstream === undefined) {
        done(false);
        return;
      }
      upstream.pool.ask(Buffer.from(probeQuery), answer => {
        if (answer === undefined) health.unanswered(place);
        else health.answered(place);
        done(answer !== undefined);
      });
    },
    areDead: () => askable.every(({ place }) => health.isDead(place)),
    isOwn: forwarding.isOwn,
    stats: forwarding.stats,
    close() {
      isClosed = true;
      for (const { pool } of askable) pool.close();
    },
  };
}
