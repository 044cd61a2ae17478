import type { Response } from '@coold/proto';
import type { HostStream } from './hosts.ts';
import type { Hold } from './pending.ts';

/** What a poller is told. */
export type BuildOutcome =
  | { kind: 'answered'; hostId: string; body: Response['body'] }
  /** Its host, asked after it had been away, does not know it. */
  | { kind: 'lost' }
  /** Its host stays away; its host has no result of it any more. */
  | { kind: 'host gone' | 'unknown' }
  | { kind: 'timeout' | 'stopping' };

export interface Answer {
  outcome: Extract<BuildOutcome, { kind: 'answered' } | { kind: 'lost' }>;
  bytes: number;
}

/** One build; its states are those that `Builds` describes. */
export interface Build {
  readonly requestId: string;
  readonly host: BuildHost;
  state: 'waiting' | 'landed' | 'remembered' | 'gone';
  /** Its host has a result of it: it is no load, and cannot be cancelled. */
  finished: boolean;
  /** Frees its id, which counts against the cap as long as somebody waits or its answer is here. */
  release: (() => void) | undefined;
  answer: Answer | undefined;
  landedAt: number;
  /** Replies with its answer that are being written. */
  readers: number;
  pollers: Set<(outcome: BuildOutcome) => void>;
  /** The streams on which its host was asked for the result, and told to stop. */
  askedOn: HostStream | undefined;
  cancelledOn: HostStream | undefined;
  cancelWanted: boolean;
  /** A caller read that its host stays away: another build may take the id. */
  givenUp: boolean;
}

export interface BuildHost {
  readonly hostId: string;
  schemaMax: number;
  stream: HostStream | undefined;
  awaySince: number;
  builds: Set<Build>;
  /** Those of them that are remembered, oldest first, as sets iterate. */
  remembered: Set<Build>;
  /** Ids whose answer was read, until the host no longer names them: what tells it so may be lost with a stream. */
  read: Set<string>;
}

export interface BuildTableOptions {
  hold(requestId: string): Hold;
  /** The monotonic clock, in ms. */
  now(): number;
  /** Bytes of landed results kept; beyond them the oldest go first, whatever their age. */
  landedMaxBytes: number;
}

/** The builds and their hosts, and the changes of state with all that hangs on them: ids, counts, bounds, pollers. */
export interface BuildTable {
  get(requestId: string): Build | undefined;
  all(): Iterable<Build>;
  landed(): Iterable<Build>;
  host(hostId: string): BuildHost | undefined;
  hosts(): Iterable<BuildHost>;
  /** The host of a live stream, from now on known. */
  hostOf(stream: HostStream): BuildHost;
  removeHost(host: BuildHost): void;
  /** A build that waits. */
  add(requestId: string, host: BuildHost, release: () => void): Build;
  /** A build that its host has, and nobody waits for here. */
  addRemembered(requestId: string, host: BuildHost, finished: boolean): void;
  /** Takes back an answer of ours that was not true in the end. */
  reopen(build: Build): void;
  land(build: Build, answer: Answer): void;
  /** Its answer stays here no longer: its host is asked again, where it can be. */
  unland(build: Build): void;
  remember(build: Build, finished: boolean): void;
  forget(build: Build): void;
  markRead(host: BuildHost, requestId: string): void;
  /**
   * Takes the id of a remembered build again, for its host is asked now, and counts it as far as there is room: a result
   * that is there is not kept from its reader by others that wait. False: something else has the id.
   */
  holdAgain(build: Build): boolean;
  tell(build: Build, outcome: BuildOutcome): void;
  /** To be called when a poller has left. */
  left(build: Build): void;
  counts(): { waiting: number; landed: number; remembered: number };
  /** Results that went before their time to make room, since the start; their hosts still have them. */
  evictions(): number;
}

/** Of one host: what is remembered, and what was read. */
const maxRemembered = 2000;

export function createBuildTable({ hold, now, landedMaxBytes }: BuildTableOptions): BuildTable {
  const builds = new Map<string, Build>();
  const hosts = new Map<string, BuildHost>();
  const landed = new Set<Build>(); // oldest first
  let landedBytes = 0;
  let waiting = 0;
  let evicted = 0;

  function enter(build: Build, state: Build['state']): void {
    if (build.state === 'waiting') waiting -= 1;
    if (landed.delete(build)) landedBytes -= build.answer?.bytes ?? 0;
    build.host.remembered.delete(build);
    if (state !== 'landed') build.answer = undefined;
    build.state = state;
    if (state === 'waiting') waiting += 1;
    if (state === 'remembered' || state === 'gone') free(build);
  }

  function free(build: Build): void {
    build.release?.();
    build.release = undefined;
    build.askedOn = undefined;
  }

  function create(requestId: string, host: BuildHost, release: Build['release']): Build {
    const build: Build = {
      ...{ requestId, host, release, state: 'gone', finished: false, answer: undefined, landedAt: 0 },
      ...{ readers: 0, pollers: new Set(), askedOn: undefined, cancelledOn: undefined },
      ...{ cancelWanted: false, givenUp: false },
    };
    builds.set(requestId, build);
    host.builds.add(build);
    return build;
  }

  function tell(build: Build, outcome: BuildOutcome): void {
    const told = [...build.pollers];
    build.pollers.clear();
    for (const poller of told) poller(outcome);
    left(build);
  }

  function left(build: Build): void {
    // A host that never answers must not use the cap up.
    if (build.state === 'remembered' && build.pollers.size === 0) free(build);
  }

  function forget(build: Build): void {
    enter(build, 'gone');
    builds.delete(build.requestId);
    build.host.builds.delete(build);
    tell(build, { kind: 'unknown' });
  }

  function remember(build: Build, finished: boolean): void {
    enter(build, 'remembered');
    build.finished = finished;
    const { remembered } = build.host;
    remembered.add(build);
    for (const oldest of remembered) {
      if (remembered.size <= maxRemembered) break;
      if (oldest.pollers.size === 0) forget(oldest);
    }
  }

  function unland(build: Build): void {
    const outcome = build.answer?.outcome;
    const isKept = outcome?.kind === 'answered' && outcome.body.case === 'build' && build.host.schemaMax >= 2;
    if (isKept) remember(build, true);
    else forget(build);
  }

  return {
    get: requestId => builds.get(requestId),
    all: () => builds.values(),
    landed: () => landed,
    host: hostId => hosts.get(hostId),
    hosts: () => hosts.values(),
    hostOf(stream) {
      const { hostId, schemaMax } = stream;
      const host = hosts.get(hostId) ?? {
        ...{ hostId, schemaMax, stream, awaySince: 0 },
        ...{ builds: new Set(), remembered: new Set(), read: new Set() },
      };
      hosts.set(hostId, host);
      return host;
    },
    removeHost: ({ hostId }) => void hosts.delete(hostId),
    add(requestId, host, release) {
      const build = create(requestId, host, release);
      enter(build, 'waiting');
      return build;
    },
    addRemembered: (requestId, host, finished) => remember(create(requestId, host, undefined), finished),
    reopen(build) {
      build.finished = false;
      enter(build, 'waiting');
    },
    land(build, answer) {
      if (build.release === undefined) {
        const held = hold(build.requestId);
        if (held.kind === 'held') build.release = held.release;
      }
      enter(build, 'landed');
      build.finished = true;
      build.answer = answer;
      build.landedAt = now();
      landed.add(build);
      landedBytes += answer.bytes;
      tell(build, answer.outcome);
      for (const oldest of landed) {
        if (landedBytes <= landedMaxBytes) break;
        if (oldest.readers > 0) continue;
        evicted += 1;
        unland(oldest);
      }
    },
    unland,
    remember,
    forget,
    markRead({ read }, requestId) {
      read.add(requestId);
      const [oldest] = read;
      if (read.size > maxRemembered && oldest !== undefined) read.delete(oldest);
    },
    holdAgain(build) {
      if (build.release !== undefined) return true;
      const held = hold(build.requestId);
      if (held.kind === 'held') build.release = held.release;
      return held.kind !== 'in flight';
    },
    tell,
    left,
    counts: () => ({ waiting, landed: landed.size, remembered: builds.size - waiting - landed.size }),
    evictions: () => evicted,
  };
}
