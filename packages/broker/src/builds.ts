import type { BuildRequest, HostedBuild, Response } from '@coold/proto';
import { acknowledge, askResult, cancelBuild, giveBuild, removeResult } from './build-commands.ts';
import { createHelloReader } from './build-hello.ts';
import { isOtherNonce, type Nonces } from './build-nonce.ts';
import { beginPoll, type Poll } from './build-poll.ts';
import {
  type Answer,
  type Build,
  type BuildCounts,
  type BuildHost,
  type BuildOutcome,
  createBuildTable,
  isWithItsHost,
} from './build-table.ts';
import type { HostStream } from './hosts.ts';
import type { Pending } from './pending.ts';

export type { BuildOutcome } from './build-table.ts';

/** How an answer was taken; 'unknown': it is that of another dispatch of the id; undefined: it is no build's. */
export type BuildReceipt = 'delivered' | 'duplicate' | 'unknown' | 'of another host' | undefined;

export interface BuildsOptions {
  /** Where ids come from: both lanes share them, and the cap. */
  pending: Pick<Pending, 'hold'>;
  nonces: Nonces;
  /** The monotonic clock, in ms. */
  now(): number;
  /** How many ms a result counts against the cap and waits here for a late poller; afterwards its host is asked again. */
  landedTtlMs: number;
  /** Of all results that are here, in bytes; beyond it those that were read go first, the oldest before the others. */
  landedMaxBytes: number;
  /** A host that is away for longer, in ms, is told of to pollers. */
  hostGraceMs: number;
}

/**
 * The builds that hosts have, by request id (docs/contract.md §2). One is *waiting* for its host's answer, which
 * *lands* here, and is *kept* once it was read, so that a caller that died over it can ask again: for an hour, or until it
 * is removed. A result that nobody read in time, or that there is no room for, is *remembered*: which host has it, so that
 * it can be asked again. The hosts are the memory, and name their builds when they connect; what is here is lost with the
 * broker, and no result with it.
 *
 * No timers and no I/O of its own: streams, ids and the clock are passed in, and `tick` is called every now and then.
 */
export interface Builds {
  /** Sends a build; 'unread': its host has left too much unread. Unless 'sent', nothing has changed. */
  dispatch(
    requestId: string,
    host: HostStream,
    build: BuildRequest,
  ): 'sent' | 'unread' | 'in flight' | 'full' | 'stopping';
  /** Whether its id is taken by a build whose result nobody has read. */
  isInFlight(requestId: string): boolean;
  poll(requestId: string): Poll | 'unknown' | 'too many';
  /** False: landed or unknown. Else its host is told, now or when it returns. */
  cancel(requestId: string): boolean;
  /** Forgets a result, here and at its host. */
  remove(requestId: string): 'removed' | 'in flight' | 'unknown';
  /** Who has it; `stream` is undefined while that host is away. `isAnswered`: its result is here. */
  whereIs(
    requestId: string,
  ): { hostId: string; stream: HostStream | undefined; isAnswered: boolean } | undefined;
  /** @returns how many of the builds it named were not taken in: no request_id, or another host's */
  connected(host: HostStream, named: readonly HostedBuild[]): number;
  disconnected(host: HostStream): void;
  hear(host: HostStream, response: Response, bytes: number): BuildReceipt;
  /** Builds that a host runs or has queued. */
  load(hostId: string): number;
  /** Ends what the clock has ended. */
  tick(): void;
  /** Pollers are told that the broker stops, now and from now on. */
  stop(): void;
  counts(): BuildCounts;
  /** Results that went before their time to make room, since the start; their hosts still have them. */
  evictions(): number;
}

const maxPollers = 1000;
/**
 * A host keeps an unread result for this long (docs/contract.md §7), in ms; one that is away for longer has nothing to
 * tell.
 */
const hostMemoryMs = 24 * 3600_000;
/** How long a result stays after it was first read, in ms (docs/contract.md §2). */
const readMs = 3600_000;

export function createBuilds(options: BuildsOptions): Builds {
  const { pending, nonces, now, landedTtlMs, landedMaxBytes, hostGraceMs } = options;
  const table = createBuildTable({ hold: pending.hold, now, landedMaxBytes });
  let stopping = false;

  const awayMs = ({ stream, awaySince }: BuildHost) => (stream === undefined ? now() - awaySince : 0);
  const isGone = (host: BuildHost) => host.stream === undefined && awayMs(host) >= hostGraceMs;
  const isLive = ({ state, finished }: Build) => state === 'waiting' || (state === 'remembered' && !finished);

  function isInFlight(requestId: string): boolean {
    const build = table.get(requestId);
    return build !== undefined && !build.givenUp && build.state !== 'kept' && build.readAt === undefined;
  }

  /** Its answer was written whole to a caller. */
  function markRead(build: Build): void {
    // What the broker itself said of it is no result, and may be another the next time.
    if (build.answer?.outcome.kind !== 'answered') {
      table.forget(build);
      return;
    }
    const isFirst = build.readAt === undefined;
    build.readAt ??= now();
    if (isFirst && isWithItsHost(build)) build.host.stream?.sendOwed(acknowledge(build));
    table.keep(build);
  }

  /** It is wanted no more: what its host still has of it is to go, as soon as that can be told. */
  function discard(build: Build): void {
    const { host } = build;
    const isTheirs = host.schemaMax >= 2 && !isRefused(build);
    table.forget(build);
    if (!isTheirs) return;
    table.markUnwanted(host, build);
    host.stream?.sendOwed(build.finished ? removeResult(build) : cancelBuild(build));
  }

  function ask(build: Build): void {
    const { host, state, askedOn } = build;
    if (state === 'landed' || state === 'kept' || host.stream === undefined || host.stream === askedOn)
      return;
    if (host.schemaMax < 2 || !table.holdAgain(build)) return;
    if (host.stream.send(askResult(build))) build.askedOn = host.stream;
  }

  function sendCancel(build: Build): void {
    const { host, cancelledOn } = build;
    if (!build.cancelWanted || host.stream === undefined) return;
    // Once for each stream it is owed; again only as long as the host reads.
    if (cancelledOn === host.stream) host.stream.send(cancelBuild(build));
    else host.stream.sendOwed(cancelBuild(build));
    build.cancelledOn = host.stream;
  }

  function toldAtOnce(build: Build): BuildOutcome | undefined {
    if (build.answer !== undefined) return build.answer.outcome;
    if (stopping) return { kind: 'stopping' };
    return isGone(build.host) ? { kind: 'host gone' } : undefined;
  }

  const takeHello = createHelloReader({
    ...{ table, nonces, hold: pending.hold, now, ask, sendCancel, isLive },
  });

  /** Nobody came for its answer in time. What no host has is kept here, where it can be. */
  function stopWaitingFor(build: Build): void {
    if (isWithItsHost(build) || build.answer?.outcome.kind !== 'answered') table.unland(build);
    else table.keep(build);
  }

  function sweepAway(host: BuildHost): void {
    const isForgotten = awayMs(host) >= hostMemoryMs;
    for (const build of isGone(host) ? [...host.builds] : []) {
      if (build.answer === undefined) table.tell(build, { kind: 'host gone' });
      // It no longer counts against the cap, and its host may still come back with it.
      if (build.state === 'waiting' && awayMs(host) >= hostGraceMs + landedTtlMs)
        table.remember(build, false);
      if (build.state === 'remembered' && isForgotten) table.forget(build);
    }
    if (host.builds.size === 0 && (isForgotten || host.unwanted.size === 0)) table.removeHost(host);
  }

  return {
    dispatch(requestId, stream, request) {
      if (isInFlight(requestId)) return 'in flight';
      const hold = pending.hold(requestId);
      if (hold.kind !== 'held') return hold.kind;
      const issued = nonces.issue(requestId, stream.hostId);
      // A host of schema 1 knows none.
      const origin = stream.schemaMax < 2 ? { ...issued, nonce: '' } : issued;
      if (!stream.send(giveBuild({ requestId, nonce: origin.nonce }, request))) {
        hold.release();
        return 'unread';
      }
      const former = table.get(requestId);
      if (former !== undefined) discard(former);
      table.add(requestId, table.hostOf(stream), origin, hold.release);
      return 'sent';
    },

    isInFlight,

    poll(requestId) {
      const build = table.get(requestId);
      if (build === undefined) return 'unknown';
      if (build.pollers.size >= maxPollers) return 'too many';
      return beginPoll(build, {
        told: toldAtOnce(build),
        onWaiting: () => {
          if (build.state === 'remembered') ask(build);
        },
        onLeft: () => table.left(build),
        onRead: () => markRead(build),
        onUnread: () => {
          build.landedAt = now();
        },
        onGoneRead: () => {
          if (!isGone(build.host)) return;
          build.givenUp = true;
          table.remember(build, build.finished);
        },
      });
    },

    cancel(requestId) {
      const build = table.get(requestId);
      if (build === undefined || !isLive(build)) return false;
      build.cancelWanted = true;
      sendCancel(build);
      return true;
    },

    remove(requestId) {
      const build = table.get(requestId);
      if (build === undefined) return 'unknown';
      if (isLive(build) && !build.givenUp) return 'in flight';
      discard(build);
      return 'removed';
    },

    whereIs(requestId) {
      const build = table.get(requestId);
      if (build === undefined) return undefined;
      const { hostId, stream } = build.host;
      return { hostId, stream, isAnswered: build.answer !== undefined };
    },

    connected(stream, named) {
      if (named.length === 0 && table.host(stream.hostId) === undefined) return 0;
      return takeHello(stream, named);
    },

    disconnected(stream) {
      const host = table.host(stream.hostId);
      if (host?.stream !== stream) return;
      host.stream = undefined;
      host.awaySince = now();
    },

    hear({ hostId, schemaMax }, { requestId, body }, bytes) {
      const build = table.get(requestId);
      const nonce = body.case === 'build' || body.case === 'error' ? body.value.nonce : '';
      if (build?.host.hostId !== hostId || isOtherNonce(build.nonce, nonce)) {
        if (body.case !== 'build') return undefined;
        const host = table.host(hostId);
        const unwanted = host?.unwanted.get(requestId);
        if (schemaMax >= 2 && unwanted !== undefined && !isOtherNonce(unwanted, nonce)) {
          // As long as the host reads: one that only repeats itself must not fill our memory with what it is owed.
          host?.stream?.send(removeResult({ requestId, nonce }));
          return 'duplicate';
        }
        if (build === undefined) return undefined;
        return build.host.hostId === hostId ? 'unknown' : 'of another host';
      }
      if (build.answer?.outcome.kind === 'answered') {
        // It was not told, or not in time, that this was read.
        if (body.case === 'build' && build.readAt !== undefined && schemaMax >= 2)
          build.host.stream?.send(acknowledge(build));
        return 'duplicate';
      }
      const answer: Answer = { outcome: { kind: 'answered', hostId, body }, bytes };
      const isUnknown = build.askedOn !== undefined && body.case === 'error' && body.value.code === 404;
      if (build.state !== 'remembered' || body.case === 'build') {
        table.land(build, isUnknown ? { outcome: { kind: 'lost' }, bytes: 0 } : answer);
        // It was read before, and does not count a second time.
        if (build.readAt !== undefined && !isUnknown) table.keep(build);
        return 'delivered';
      }
      // Not the result: then it is an answer to our question for it, or the other lane's.
      if (build.askedOn === undefined || !table.holdAgain(build)) return undefined;
      if (isUnknown) table.forget(build);
      else table.tell(build, answer.outcome);
      return 'delivered';
    },

    load(hostId) {
      let live = 0;
      for (const build of table.host(hostId)?.builds ?? []) if (isLive(build)) live += 1;
      return live;
    },

    tick() {
      for (const build of table.landed())
        if (build.readers === 0 && now() - build.landedAt >= landedTtlMs) stopWaitingFor(build);
      for (const build of table.kept()) if (build.readers === 0 && now() >= keptUntil(build)) discard(build);
      for (const host of table.hosts()) if (host.stream === undefined) sweepAway(host);
    },

    stop() {
      stopping = true;
      for (const build of table.all()) table.tell(build, { kind: 'stopping' });
    },

    counts: table.counts,
    evictions: table.evictions,
  };
}

/** What is kept here goes then, in ms of the monotonic clock. */
function keptUntil({ readAt, landedAt }: Build): number {
  return readAt === undefined ? landedAt + hostMemoryMs : readAt + readMs;
}

/** Its host did not take it: what has its id there, if anything, is another. */
function isRefused({ answer }: Build): boolean {
  return answer?.outcome.kind === 'answered' && answer.outcome.body.case !== 'build';
}
