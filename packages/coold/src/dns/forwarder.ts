import type { Transport } from './answer.ts';
import { type Answered, type AskableUpstream, createAskUpstreams } from './ask-upstreams.ts';
import { isTruncated } from './exchange.ts';
import { createForwarding, createForwardingMemory, type Forwarding } from './forwarding.ts';
import { createLapse } from './lapse.ts';
import { openNodeChannel } from './node-channel.ts';
import { createRandomIds } from './random-ids.ts';
import type { OpenChannel } from './upstream-channel.ts';
import {
  createHealthMemory,
  createUpstreamHealth,
  type PlacedUpstream,
  type UpstreamHealth,
} from './upstream-health.ts';
import { createUpstreamPool } from './upstream-pool.ts';
import { askOverTcp } from './upstream-tcp.ts';
import { uint16 } from './wire.ts';

type Ask = (query: Buffer, transport: Transport, done: (answer: Buffer | undefined) => void) => void;

export interface Forwarder {
  /**
   * Asks the upstreams. Their answer is unchanged but for the id, which is the query's; where an upstream has more to say
   * than fits into UDP, a client that came over TCP gets it all.
   *
   * @param query is the forwarder's own until `done` is called, and then as it was
   * @param done is called once, with what is the caller's until it returns; undefined: no answer in time, no way there,
   * or too many already wait
   */
  ask: Ask;
  /** The same without a bound on those that wait and without a count: both are the caller's. */
  exchange: Ask;
  /** From now on these are asked; those that are asked already still may answer. */
  use(upstreams: readonly PlacedUpstream[]): void;
  /** Asks one of the upstreams alone, dead or not, whether it answers anything at all. */
  probe(place: number, done: (isAnswered: boolean) => void): void;
  /** Whether all upstreams were found dead. */
  areDead(): boolean;
  /** Whether a message that came from this address is one of ours: a loop. */
  isOwn(address: number, port: number): boolean;
  stats(): { forwarded: number; errors: number; waiting: number };
  close(): void;
}

export interface ForwarderOptions {
  /** In the order in which they are asked. */
  upstreams: readonly PlacedUpstream[];
  /** For one query, all its tries together, in ms. */
  timeoutMs?: number;
  /** Queries of `ask` that may wait at once, of all that share `forwarding`; one more is given up at once. */
  maxWaiting?: number;
  /** Shared with other threads; undefined: with none. */
  forwarding?: Forwarding;
  /** As `forwarding`. */
  health?: UpstreamHealth;
  /** How it asks over UDP; undefined: as Node does. */
  openChannel?: OpenChannel;
}

/** Tries of one query; after each, another upstream is asked as well. */
const tries = 4;

/**
 * Less than the 5 s after which most clients give up, also where each try ends as late as threads look at their timers: they are
 * told.
 */
const defaultTimeoutMs = 4400;

/** The name servers of the root: whatever resolver it is, it knows them or says at once that it does not. */
const probeQuery = Buffer.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]);

/** Hands queries on to the upstreams (docs/contract.md §6). */
export function createForwarder({
  upstreams,
  timeoutMs = defaultTimeoutMs,
  maxWaiting = 1000,
  forwarding = createForwarding(createForwardingMemory()),
  health = createUpstreamHealth(createHealthMemory()),
  openChannel = openNodeChannel,
}: ForwarderOptions): Forwarder {
  const drawId = createRandomIds();
  const step = createLapse(timeoutMs / tries);
  const askUpstreams = createAskUpstreams({ health, step, steps: tries });
  let isClosed = false;

  const open = ({ address, place }: PlacedUpstream): AskableUpstream => ({
    address,
    place,
    pool: createUpstreamPool({
      ...{ upstream: address, openChannel, forwarding, step, tries, timeoutMs, drawId },
      onLate: () => health.unanswered(place),
    }),
  });
  let askable = upstreams.map(open);

  function overUdp(query: Buffer, done: Answered): void {
    askUpstreams(askable, query, done);
  }

  /** A truncated answer is no answer for who came over TCP to get it whole. */
  function whole(query: Buffer, done: Answered): void {
    const deadline = performance.now() + timeoutMs;
    overUdp(query, (answer, from) => {
      if (answer === undefined || from === undefined || !isTruncated(answer)) done(answer);
      else void askOverTcp(from.address, query, Math.max(1, deadline - performance.now())).then(done);
    });
  }

  const exchange: Ask = (query, transport, done) => {
    if (isClosed) {
      done(undefined);
      return;
    }
    const id = uint16(query, 0);
    const asking = transport === 'udp' ? overUdp : whole;
    asking(query, answer => {
      // In place; where there is no answer, whoever asked can say so to the question as it was.
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
        // First, so that whoever has an answer finds it counted.
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
