import type { HostedBuild, Response, ServerMsg } from '@coold/proto';
import { acknowledge, askResult, cancelBuild } from './build-commands.ts';
import { createHelloReader } from './build-hello.ts';
import { beginPoll, type Poll } from './build-poll.ts';
import {
  type Answer,
  type Build,
  type BuildHost,
  type BuildOutcome,
  createBuildTable,
} from './build-table.ts';
import type { HostStream } from './hosts.ts';
import type { Pending } from './pending.ts';

export type { BuildOutcome } from './build-table.ts';

/** How an answer was taken; undefined: it is no build's. */
export type BuildReceipt = 'delivered' | 'duplicate' | 'of another host' | undefined;

export interface BuildsOptions {
  /** Where ids come from: both lanes share them, and the cap. */
  pending: Pick<Pending, 'hold'>;
  /** The monotonic clock, in ms. */
  now(): number;
  /** How many ms a result waits here for a late poller; afterwards its host is asked again. */
  landedTtlMs: number;
  landedMaxBytes: number;
  /** A host that is away for longer, in ms, is told of to pollers. */
  hostGraceMs: number;
}

/**
 * The builds that hosts have, by request id (docs/contract.md §2). One is *waiting* for its host's answer, which
 * *lands* here, and is *gone* once it was read: then its host is told that it may remove it. A result that nobody read
 * in time is *remembered*: which host has it, so that it can be asked again. The hosts are the memory, and name their
 * builds when they connect; what is here is lost with the broker, and no result with it.
 *
 * No timers and no I/O of its own: streams, ids and the clock are passed in, and `tick` is called every now and then.
 */
export interface Builds {
  /** Sends a build; 'unread': its host has left too much unread. Unless 'sent', nothing has changed. */
  dispatch(
    requestId: string,
    host: HostStream,
    message: ServerMsg,
  ): 'sent' | 'unread' | 'in flight' | 'full' | 'stopping';
  /** Whether its id is taken by a build. */
  isInFlight(requestId: string): boolean;
  poll(requestId: string): Poll | 'unknown' | 'too many';
  /** False: landed or unknown. Else its host is told, now or when it returns. */
  cancel(requestId: string): boolean;
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
  counts(): { waiting: number; landed: number; remembered: number };
  /** Results that went before their time to make room, since the start; their hosts still have them. */
  evictions(): number;
}

const maxPollers = 1000;
/**
 * A host keeps an unread result for this long (docs/contract.md §7), in ms; one that is away for longer has nothing to
 * tell.
 */
const hostMemoryMs = 24 * 3600_000;

export function createBuilds(options: BuildsOptions): Builds {
  const { pending, now, landedTtlMs, landedMaxBytes, hostGraceMs } = options;
  const table = createBuildTable({ hold: pending.hold, now, landedMaxBytes });
  let stopping = false;

  const awayMs = ({ stream, awaySince }: BuildHost) => (stream === undefined ? now() - awaySince : 0);
  const isGone = (host: BuildHost) => host.stream === undefined && awayMs(host) >= hostGraceMs;
  const isLive = ({ state, finished }: Build) => state === 'waiting' || (state === 'remembered' && !finished);

  function isInFlight(requestId: string): boolean {
    return table.get(requestId)?.givenUp === false;
  }

  /** Its answer was written whole to a caller. */
  function consume(build: Build): void {
    const { host, requestId, answer } = build;
    table.forget(build);
    const outcome = answer?.outcome;
    // A refusal is not kept at its host, and what else has this id there is not to be removed.
    if (outcome?.kind !== 'answered' || outcome.body.case !== 'build' || host.schemaMax < 2) return;
    table.markRead(host, requestId);
    host.stream?.sendOwed(acknowledge(requestId));
  }

  function ask(build: Build): void {
    const { host, state, askedOn, requestId } = build;
    if (state === 'landed' || host.stream === undefined || host.stream === askedOn) return;
    if (host.schemaMax < 2 || !table.holdAgain(build)) return;
    if (host.stream.send(askResult(requestId))) build.askedOn = host.stream;
  }

  function sendCancel(build: Build): void {
    const { host, cancelledOn, requestId } = build;
    if (!build.cancelWanted || host.stream === undefined) return;
    // Once for each stream it is owed; again only as long as the host reads.
    if (cancelledOn === host.stream) host.stream.send(cancelBuild(requestId));
    else host.stream.sendOwed(cancelBuild(requestId));
    build.cancelledOn = host.stream;
  }

  function toldAtOnce(build: Build): BuildOutcome | undefined {
    if (build.answer !== undefined) return build.answer.outcome;
    if (stopping) return { kind: 'stopping' };
    return isGone(build.host) ? { kind: 'host gone' } : undefined;
  }

  const takeHello = createHelloReader({ table, hold: pending.hold, ask, sendCancel, isLive });

  function sweepAway(host: BuildHost): void {
    const isForgotten = awayMs(host) >= hostMemoryMs;
    for (const build of isGone(host) ? [...host.builds] : []) {
      if (build.answer === undefined) table.tell(build, { kind: 'host gone' });
      // It no longer counts against the cap, and its host may still come back with it.
      if (build.state === 'waiting' && awayMs(host) >= hostGraceMs + landedTtlMs)
        table.remember(build, false);
      if (build.state === 'remembered' && isForgotten) table.forget(build);
    }
    if (host.builds.size === 0 && (isForgotten || host.read.size === 0)) table.removeHost(host);
  }

  return {
    dispatch(requestId, stream, message) {
      if (isInFlight(requestId)) return 'in flight';
      const hold = pending.hold(requestId);
      if (hold.kind !== 'held') return hold.kind;
      if (!stream.send(message)) {
        hold.release();
        return 'unread';
      }
      const former = table.get(requestId);
      if (former !== undefined) {
        table.forget(former);
        table.markRead(former.host, requestId);
      }
      const host = table.hostOf(stream);
      host.read.delete(requestId);
      table.add(requestId, host, hold.release);
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
        onRead: () => consume(build),
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
      if (build === undefined) {
        const host = table.host(hostId);
        if (body.case !== 'build' || schemaMax < 2 || host?.read.has(requestId) !== true) return undefined;
        // As long as the host reads: one that only repeats itself must not fill our memory with what it is owed.
        host.stream?.send(acknowledge(requestId));
        return 'duplicate';
      }
      if (build.host.hostId !== hostId) return body.case === 'build' ? 'of another host' : undefined;
      if (build.answer?.outcome.kind === 'answered') return 'duplicate';
      const answer: Answer = { outcome: { kind: 'answered', hostId, body }, bytes };
      const isUnknown = build.askedOn !== undefined && body.case === 'error' && body.value.code === 404;
      if (build.state !== 'remembered' || body.case === 'build') {
        table.land(build, isUnknown ? { outcome: { kind: 'lost' }, bytes: 0 } : answer);
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
        if (build.readers === 0 && now() - build.landedAt >= landedTtlMs) table.unland(build);
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
