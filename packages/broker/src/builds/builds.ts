import type { BuildRequest, HostedBuild, Response } from '@coold/proto';
import type { Hold, Pending } from '../dispatch/pending.ts';
import type { HostStream } from '../hosts/hosts.ts';
import {
  acknowledge,
  cancelBuild,
  giveBuild,
  removeResult,
  requestResult,
  sendCancel,
} from './build-commands.ts';
import type { GivenBuilds } from './build-given.ts';
import { HelloReader } from './build-hello.ts';
import { isOtherNonce, type Nonces } from './build-nonce.ts';
import { beginPoll, type Poll } from './build-poll.ts';
import {
  type Build,
  type BuildCounts,
  type BuildHost,
  type BuildOutcome,
  BuildTable,
  isLive,
  isWithItsHost,
} from './build-table.ts';

export type { BuildOutcome } from './build-table.ts';

/**
 * The result of taking an answer. 'unknown': it belongs to another dispatch of the id. undefined: it belongs to no
 * build.
 */
export type BuildReceipt = 'delivered' | 'duplicate' | 'unknown' | 'of another host' | undefined;

export interface BuildsOptions {
  /** Holds request ids, which dispatches, streams and builds share, together with the cap. */
  pending: Pick<Pending, 'hold'>;
  nonces: Nonces;
  given: GivenBuilds;
  /** Returns the monotonic clock, in ms. */
  now(): number;
  /** How long a result counts against the cap and waits here for a late poller, in ms. Afterwards its host is asked again. */
  landedTtlMs: number;
  /** The most bytes of results kept here. Beyond it, results that were read are dropped first, then the oldest. */
  landedMaxBytes: number;
  /** How long a host may be away before pollers are told that it is gone, in ms. */
  hostGraceMs: number;
}

/**
 * The builds of all hosts, by request id (docs/contract.md §2). `BuildState` lists the states of a build. The hosts are
 * the memory, and name their builds when they connect: the broker may lose everything here without losing a result. It
 * has no timers and no I/O of its own: streams, ids and the clock are passed in, and `tick` is called periodically.
 */
export interface Builds {
  /** Sends a build to a host. 'unread': the host reads too slowly. Nothing has changed unless the result is 'sent'. */
  dispatch(
    requestId: string,
    host: HostStream,
    build: BuildRequest,
  ): 'sent' | 'unread' | 'in flight' | 'full' | 'stopping';
  /** Whether the id is taken by a build whose result no caller has read. */
  isInFlight(requestId: string): boolean;
  /** Begins to wait for a result. */
  poll(requestId: string): Poll | 'unknown' | 'too many';
  /**
   * Cancels a build: its host is told now, or when it reconnects.
   *
   * @returns false when the build has ended or is unknown
   */
  cancel(requestId: string): boolean;
  /** Removes a result, here and at its host. */
  remove(requestId: string): 'removed' | 'in flight' | 'unknown';
  /** Returns the host that has a build, whose `stream` is undefined while it is away. `isAnswered`: the result is here. */
  whereIs(
    requestId: string,
  ): { hostId: string; stream: HostStream | undefined; isAnswered: boolean } | undefined;
  /**
   * Reconciles the builds of a Hello.
   *
   * @returns how many were refused: those without a valid request id, or of another host
   */
  connected(host: HostStream, named: readonly HostedBuild[]): number;
  disconnected(host: HostStream): void;
  /** Handles a host's answer, which uses `bytes` of memory. */
  hear(host: HostStream, response: Response, bytes: number): BuildReceipt;
  /** Returns how many builds a host runs or has queued. */
  load(hostId: string): number;
  /** Ends the states whose time is over. */
  tick(): void;
  /** Tells current and future pollers that the broker stops. */
  stop(): void;
  counts(): BuildCounts;
  /** Returns how many results were dropped before their time to make room, since the start. Their hosts still have them. */
  evictions(): number;
}

/** The most callers that wait for one build. */
const maxPollers = 1000;
/**
 * How long a host keeps an unread result, in ms (docs/contract.md §7). A host that is away for longer has no result any
 * more.
 */
const hostMemoryMs = 24 * 3600_000;
/** How long a result stays here after it was first read, in ms (docs/contract.md §2). */
const readMs = 3600_000;

export function createBuilds(options: BuildsOptions): Builds {
  return new HostedBuilds(options);
}

class HostedBuilds implements Builds {
  readonly #options: BuildsOptions;
  readonly #table: BuildTable;
  readonly #helloReader: HelloReader;
  /** Whether pollers are told at once that the broker stops. */
  #isStopping = false;

  constructor(options: BuildsOptions) {
    const { nonces, given, now, landedMaxBytes } = options;
    const hold = (requestId: string) => options.pending.hold(requestId);
    this.#options = options;
    this.#table = new BuildTable({ hold, now, landedMaxBytes });
    this.#helloReader = new HelloReader({ table: this.#table, nonces, given, hold, now });
  }

  dispatch(requestId: string, stream: HostStream, request: BuildRequest) {
    const { pending, nonces, given } = this.#options;
    if (this.isInFlight(requestId)) return 'in flight';
    const former = this.#table.get(requestId);
    // A former build whose answer is asked for again holds the id. The new build takes over that hold.
    const formerRelease = former?.release;
    const held: Hold =
      formerRelease === undefined ? pending.hold(requestId) : { kind: 'held', release: formerRelease };
    if (held.kind !== 'held') return held.kind;
    const issued = nonces.issue(requestId, stream.hostId);
    // A host of schema 1 does not know nonces.
    const origin = stream.schemaMax < 2 ? { ...issued, nonce: '' } : issued;
    if (!stream.send(giveBuild({ requestId, nonce: origin.nonce }, request))) {
      if (formerRelease === undefined) held.release();
      return 'unread';
    }
    given.note(requestId, issued.claim.givenAt);
    if (former !== undefined) {
      former.release = undefined;
      this.#discard(former);
    }
    this.#table.add(requestId, this.#table.hostOf(stream), origin, held.release);
    return 'sent';
  }

  isInFlight(requestId: string): boolean {
    const build = this.#table.get(requestId);
    return build !== undefined && !build.givenUp && build.state !== 'kept' && build.readAt === undefined;
  }

  poll(requestId: string): Poll | 'unknown' | 'too many' {
    const build = this.#table.get(requestId);
    if (build === undefined) return 'unknown';
    if (build.pollers.size >= maxPollers) return 'too many';
    return beginPoll(build, {
      told: this.#outcomeNow(build),
      onWaiting: () => {
        if (build.state === 'remembered') requestResult(build, this.#table);
      },
      onLeft: () => this.#table.pollerLeft(build),
      onRead: () => this.#markRead(build),
      onUnread: () => {
        build.landedAt = this.#options.now();
      },
      onGoneRead: () => {
        if (!this.#isGone(build.host)) return;
        build.givenUp = true;
        this.#table.remember(build, build.finished);
      },
    });
  }

  cancel(requestId: string): boolean {
    const build = this.#table.get(requestId);
    if (build === undefined || !isLive(build)) return false;
    build.cancelWanted = true;
    sendCancel(build);
    return true;
  }

  remove(requestId: string) {
    const build = this.#table.get(requestId);
    if (build === undefined) return 'unknown';
    if (isLive(build) && !build.givenUp) return 'in flight';
    this.#discard(build);
    return 'removed';
  }

  whereIs(requestId: string) {
    const build = this.#table.get(requestId);
    if (build === undefined) return undefined;
    const { hostId, stream } = build.host;
    return { hostId, stream, isAnswered: build.answer !== undefined };
  }

  connected(stream: HostStream, named: readonly HostedBuild[]): number {
    if (named.length === 0 && this.#table.host(stream.hostId) === undefined) return 0;
    return this.#helloReader.read(stream, named);
  }

  disconnected(stream: HostStream): void {
    const host = this.#table.host(stream.hostId);
    if (host?.stream !== stream) return;
    host.stream = undefined;
    host.awaySince = this.#options.now();
  }

  hear(stream: HostStream, response: Response, bytes: number): BuildReceipt {
    const { requestId, body } = response;
    const build = this.#table.get(requestId);
    const nonce = body.case === 'build' || body.case === 'error' ? body.value.nonce : '';
    return build?.host.hostId === stream.hostId && !isOtherNonce(build.nonce, nonce)
      ? this.#hearOf(build, stream, body, bytes)
      : this.#hearOther(build, stream, response, nonce);
  }

  load(hostId: string): number {
    let live = 0;
    for (const build of this.#table.host(hostId)?.builds ?? []) if (isLive(build)) live += 1;
    return live;
  }

  tick(): void {
    const { now, landedTtlMs } = this.#options;
    for (const build of this.#table.landed())
      if (build.readers === 0 && now() - build.landedAt >= landedTtlMs) this.#stopWaitingFor(build);
    for (const build of this.#table.kept())
      if (build.readers === 0 && now() >= keptUntil(build)) this.#discard(build);
    for (const host of this.#table.hosts()) if (host.stream === undefined) this.#sweepAway(host);
  }

  stop(): void {
    this.#isStopping = true;
    for (const build of this.#table.all()) this.#table.tell(build, { kind: 'stopping' });
  }

  counts(): BuildCounts {
    return this.#table.counts();
  }

  evictions(): number {
    return this.#table.evictions();
  }

  /** Handles an answer about a build that the table lists for this host. */
  #hearOf(
    build: Build,
    { hostId, schemaMax }: HostStream,
    body: Response['body'],
    bytes: number,
  ): BuildReceipt {
    if (build.answer?.outcome.kind === 'answered') {
      // The host did not learn, or not in time, that this result was read.
      if (body.case === 'build' && build.readAt !== undefined && schemaMax >= 2)
        build.host.stream?.send(acknowledge(build));
      return 'duplicate';
    }
    const outcome = { kind: 'answered', hostId, body } as const;
    const isUnknown = build.askedOn !== undefined && body.case === 'error' && body.value.code === 404;
    if (build.state !== 'remembered' || body.case === 'build') {
      this.#table.land(build, isUnknown ? { outcome: { kind: 'lost' }, bytes: 0 } : { outcome, bytes });
      // A result that was already read does not count against the cap again.
      if (build.readAt !== undefined && !isUnknown) this.#table.keep(build);
      return 'delivered';
    }
    // Not a result: it answers the question for it, or a dispatch.
    if (build.askedOn === undefined || !this.#table.holdAgain(build)) return undefined;
    if (isUnknown) this.#table.forget(build);
    else this.#table.tell(build, outcome);
    return 'delivered';
  }

  /** Handles an answer about a build that the table lists for another host or not at all, or about another dispatch. */
  #hearOther(
    build: Build | undefined,
    { hostId, schemaMax }: HostStream,
    { requestId, body }: Response,
    nonce: string,
  ): BuildReceipt {
    if (body.case !== 'build') return undefined;
    const host = this.#table.host(hostId);
    const unwanted = host?.unwanted.get(requestId);
    if (schemaMax >= 2 && unwanted !== undefined && !isOtherNonce(unwanted, nonce)) {
      // Dropped when the host does not read: a host that repeats itself must not fill the memory with replies.
      host?.stream?.send(removeResult({ requestId, nonce }));
      return 'duplicate';
    }
    if (build === undefined) return undefined;
    return build.host.hostId === hostId ? 'unknown' : 'of another host';
  }

  /** Returns the outcome that a poller gets without waiting; undefined when it must wait. */
  #outcomeNow(build: Build): BuildOutcome | undefined {
    if (build.answer !== undefined) return build.answer.outcome;
    if (this.#isStopping) return { kind: 'stopping' };
    return this.#isGone(build.host) ? { kind: 'host gone' } : undefined;
  }

  /** Records that the answer was sent whole to a caller. */
  #markRead(build: Build): void {
    // `lost` is the broker's own answer. It is not a result, and may be different the next time.
    if (build.answer?.outcome.kind !== 'answered') {
      this.#table.forget(build);
      return;
    }
    const isFirst = build.readAt === undefined;
    build.readAt ??= this.#options.now();
    if (isFirst && isWithItsHost(build)) build.host.stream?.sendOwed(acknowledge(build));
    this.#table.keep(build);
  }

  /** Forgets a build. Its host is told to remove or to stop it, now or when it reconnects. */
  #discard(build: Build): void {
    const { host } = build;
    const isAtHost = host.schemaMax >= 2 && !isRefused(build);
    this.#table.forget(build);
    if (!isAtHost) return;
    this.#table.markUnwanted(host, build);
    host.stream?.sendOwed(build.finished ? removeResult(build) : cancelBuild(build));
  }

  /** No caller fetched the answer in time. An answer that the host does not have is kept here if there is room. */
  #stopWaitingFor(build: Build): void {
    if (isWithItsHost(build) || build.answer?.outcome.kind !== 'answered') this.#table.dropAnswer(build);
    else this.#table.keep(build);
  }

  #sweepAway(host: BuildHost): void {
    const { hostGraceMs, landedTtlMs } = this.#options;
    const awayMs = this.#awayMs(host);
    const isForgotten = awayMs >= hostMemoryMs;
    for (const build of this.#isGone(host) ? [...host.builds] : []) {
      if (build.answer === undefined) this.#table.tell(build, { kind: 'host gone' });
      // The build does not count against the cap any more. The host may still return with it.
      if (build.state === 'waiting' && awayMs >= hostGraceMs + landedTtlMs)
        this.#table.remember(build, false);
      if (build.state === 'remembered' && isForgotten) this.#table.forget(build);
    }
    if (host.builds.size === 0 && (isForgotten || host.unwanted.size === 0)) this.#table.removeHost(host);
  }

  /** Returns how long a host has been away, in ms; 0 when it is connected. */
  #awayMs({ stream, awaySince }: BuildHost): number {
    return stream === undefined ? this.#options.now() - awaySince : 0;
  }

  /** Whether a host has been away for longer than its grace. */
  #isGone(host: BuildHost): boolean {
    return host.stream === undefined && this.#awayMs(host) >= this.#options.hostGraceMs;
  }
}

/** Returns when a kept answer is dropped, in ms of the monotonic clock. */
function keptUntil({ readAt, landedAt }: Build): number {
  return readAt === undefined ? landedAt + hostMemoryMs : readAt + readMs;
}

/** Whether the host refused the build: if it has something under the id, that is another build. */
function isRefused({ answer }: Build): boolean {
  return answer?.outcome.kind === 'answered' && answer.outcome.body.case !== 'build';
}
