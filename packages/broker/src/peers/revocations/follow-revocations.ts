import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { RevocationsRequestSchema, RevocationsResponseSchema, revocationsPath } from '@coold/proto';
import { createBackoff, errorMessage, type Logger, pause, type Task } from '@coold/runtime';
import type { PeerLinks } from '../link/peer-links.ts';
import type { PeerPlace } from '../membership/peer-places.ts';
import { isSharedChange, type SharedRevocations } from './shared-list.ts';

export interface FollowRevocationsOptions {
  brokerId: string;
  /** Where the others dial this broker, `host:port`. */
  address: string;
  /** Returns the other brokers that are known now. */
  peers: () => Iterable<PeerPlace>;
  links: Pick<PeerLinks, 'to'>;
  shared: Pick<SharedRevocations, 'merge'>;
  log: Logger;
  /** The interval at which `peers` is read, in ms. */
  lookEveryMs?: number;
  backoff?: { firstMs: number; maxMs: number };
}

/** How long one call may take, in ms. The other broker holds it until there is something to tell. */
const callMs = 30_000;
/**
 * The most brokers that are asked at the same time before they have answered once. Rows in Corrosion can name any number of
 * brokers, and links are few.
 */
const maxUnproven = 32;
const defaultBackoff = { firstMs: 1000, maxMs: 60_000 };

/**
 * Asks every other broker for the tokens that were revoked there, again and again. So this broker learns of them at once, and of
 * those that it missed as soon as it is back.
 */
export function followRevocations(options: FollowRevocationsOptions): Task {
  const { brokerId, peers, lookEveryMs = 2000 } = options;
  const followed = new Map<string, FollowedBroker>();

  function update(stop: AbortSignal): void {
    const wanted = new Map<string, PeerPlace>();
    for (const peer of peers()) if (peer.brokerId !== brokerId) wanted.set(keyOf(peer), peer);
    for (const [key, broker] of followed)
      if (!wanted.has(key)) {
        broker.stop();
        followed.delete(key);
      }
    for (const [key, peer] of wanted)
      if (!followed.has(key)) followed.set(key, new FollowedBroker(peer, options));
    chooseWhomToAsk([...followed.values()], stop);
  }

  return async stop => {
    while (!stop.aborted) {
      update(stop);
      await pause(lookEveryMs, stop);
    }
    await Promise.all([...followed.values()].map(({ ended }) => ended));
  };
}

/** Asks all brokers that answer. The others take turns, so that made-up names keep no broker from being asked. */
function chooseWhomToAsk(brokers: FollowedBroker[], stop: AbortSignal): void {
  let unproven = 0;
  for (const broker of brokers.sort((a, b) => a.failures - b.failures)) {
    if (!broker.isProven) unproven += 1;
    if (!broker.isProven && unproven > maxUnproven) broker.stop();
    else broker.start(stop);
  }
}

/** The answers of a broker are numbered within an epoch, which begins when it starts. */
interface Position {
  epoch: string;
  seen: bigint;
}

/** One other broker that is asked for revoked tokens, or waits for its turn. */
class FollowedBroker {
  /** How often it has failed to answer since it last answered. */
  failures = 0;
  /** Resolves when the last call has ended after `stop`. */
  ended: Promise<void> = Promise.resolve();
  readonly #peer: PeerPlace;
  readonly #options: FollowRevocationsOptions;
  #hasAnswered = false;
  /** Whether it was logged that it does not answer. */
  #isLogged = false;
  /** Present while it is asked. */
  #asking: AbortController | undefined;

  constructor(peer: PeerPlace, options: FollowRevocationsOptions) {
    this.#peer = peer;
    this.#options = options;
  }

  /** Whether it answers. */
  get isProven(): boolean {
    return this.#hasAnswered && this.failures === 0;
  }

  /** Begins to ask it, where it is not asked yet. */
  start(stop: AbortSignal): void {
    if (this.#asking !== undefined) return;
    this.#asking = new AbortController();
    this.ended = this.#follow(AbortSignal.any([stop, this.#asking.signal]));
  }

  stop(): void {
    this.#asking?.abort();
    this.#asking = undefined;
  }

  async #follow(stop: AbortSignal): Promise<void> {
    const { firstMs, maxMs } = this.#options.backoff ?? defaultBackoff;
    const backoff = createBackoff({ firstMs, maxMs });
    this.#isLogged = false;
    let position: Position = { epoch: '', seen: 0n };
    while (!stop.aborted) {
      const askedAt = performance.now();
      try {
        const { count, ...next } = await this.#ask(position, stop);
        position = next;
        this.#succeed();
        backoff.reset();
        // A broker that should have waited for something to tell, and did not, is not asked again without a pause.
        if (count === 0 && performance.now() - askedAt < firstMs) await pause(firstMs, stop);
      } catch (error) {
        if (stop.aborted) return;
        this.#fail(error);
        await pause(backoff.next(), stop);
      }
    }
  }

  /** Makes one call, and takes in what it tells. @returns the next position, and how many changes were told @throws PeerError */
  async #ask({ epoch, seen }: Position, stop: AbortSignal): Promise<Position & { count: number }> {
    const { brokerId, address, links, shared } = this.#options;
    const request = create(RevocationsRequestSchema, {
      fromBrokerId: brokerId,
      toBrokerId: this.#peer.brokerId,
      fromAddress: address,
      epoch,
      seen,
    });
    const bytes = toBinary(RevocationsRequestSchema, request);
    const answer = await links.to(this.#peer).call(revocationsPath, bytes, callMs, stop);
    const response = fromBinary(RevocationsResponseSchema, answer);
    const changes = response.changes.map(change => ({ ...change, version: Number(change.version) }));
    shared.merge(changes.filter(isSharedChange));
    return { epoch: response.epoch, seen: response.seen, count: changes.length };
  }

  #succeed(): void {
    if (this.#isLogged) this.#options.log.info(this.#line(), 'the broker reports its revoked tokens again');
    this.#isLogged = false;
    this.#hasAnswered = true;
    this.failures = 0;
  }

  #fail(error: unknown): void {
    this.failures += 1;
    // Not for the first failure: a broker that restarts is away for a moment.
    if (this.failures !== 2 || this.#isLogged) return;
    this.#options.log.warn(
      { ...this.#line(), why: errorMessage(error) },
      'a broker does not report which tokens it revoked: until it does, revoke there too',
    );
    this.#isLogged = true;
  }

  #line() {
    return { broker_id: this.#peer.brokerId, address: this.#peer.address };
  }
}

const keyOf = ({ brokerId, address }: PeerPlace) => `${brokerId} ${address}`;
