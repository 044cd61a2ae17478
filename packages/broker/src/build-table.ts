import type { Response } from '@coold/proto';
import type { NamedBuild } from './build-commands.ts';
import type { Claim } from './build-nonce.ts';
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
export interface Build extends NamedBuild {
  readonly requestId: string;
  host: BuildHost;
  /** How well it is known that this host was given it. */
  claim: Claim;
  state: 'waiting' | 'landed' | 'kept' | 'remembered' | 'gone';
  /** Its host has a result of it: it is no load, and cannot be cancelled. */
  finished: boolean;
  /** Frees its id, which counts against the cap as long as somebody waits or its answer is here. */
  release: (() => void) | undefined;
  answer: Answer | undefined;
  landedAt: number;
  /** When its answer was first written whole to a caller; undefined: nobody has read it. */
  readAt: number | undefined;
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
  /**
   * Builds, by id and with their nonce, that the host is to remove or to stop as soon as it names them: what tells it so may
   * be lost with a stream.
   */
  unwanted: Map<string, string>;
}

/** Where a build comes from: the dispatch, or what its host says of it. */
export interface Origin {
  nonce: string;
  claim: Claim;
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
  kept(): Iterable<Build>;
  host(hostId: string): BuildHost | undefined;
  hosts(): Iterable<BuildHost>;
  /** The host of a live stream, from now on known. */
  hostOf(stream: HostStream): BuildHost;
  removeHost(host: BuildHost): void;
  /** A build that waits. */
  add(requestId: string, host: BuildHost, origin: Origin, release: () => void): Build;
  /** A build that its host has, and nobody waits for here. */
  addRemembered(requestId: string, host: BuildHost, origin: Origin, finished: boolean): Build;
  /** Another host was given it, later: its pollers wait for that one's answer. */
  move(build: Build, host: BuildHost, origin: Origin, finished: boolean): void;
  /** Takes back an answer of ours that was not true in the end. */
  reopen(build: Build): void;
  land(build: Build, answer: Answer): void;
  /** Its answer counts against the cap no longer; it stays here for callers that ask again, as long as there is room. */
  keep(build: Build): void;
  /** Its answer stays here no longer: its host is asked again, where it can be. */
  unland(build: Build): void;
  remember(build: Build, finished: boolean): void;
  forget(build: Build): void;
  /** Its host is to remove or stop it when it names it. */
  markUnwanted(host: BuildHost, build: NamedBuild): void;
  /**
   * Takes the id of a remembered build again, for its host is asked now, and counts it as far as there is room: a result
   * that is there is not kept from its reader by others that wait. False: something else has the id.
   */
  holdAgain(build: Build): boolean;
  tell(build: Build, outcome: BuildOutcome): void;
  /** To be called when a poller has left. */
  left(build: Build): void;
  counts(): BuildCounts;
  /** Results that went before their time to make room, since the start; their hosts still have them. */
  evictions(): number;
}

export interface BuildCounts {
  waiting: number;
  /** Results that wait for a caller. */
  landed: number;
  /** Builds that do not count against the cap: their hosts have them, or their results were read. */
  remembered: number;
}

/** Of one host: what is remembered, and what is unwanted. */
const maxRemembered = 2000;
/** Results that stay here after they were read, of all hosts together; beyond them the oldest are asked for again. */
const maxKept = 10_000;

export function createBuildTable({ hold, now, landedMaxBytes }: BuildTableOptions): BuildTable {
  const builds = new Map<string, Build>();
  const hosts = new Map<string, BuildHost>();
  const landed = new Set<Build>(); // oldest first
  const kept = new Set<Build>(); // oldest first
  let landedBytes = 0;
  let waiting = 0;
  let evicted = 0;

  function uncount(build: Build): void {
    if (landed.delete(build) || kept.delete(build)) landedBytes -= build.answer?.bytes ?? 0;
  }

  function enter(build: Build, state: Build['state']): void {
    if (build.state === 'waiting') waiting -= 1;
    uncount(build);
    build.host.remembered.delete(build);
    if (state !== 'landed' && state !== 'kept') build.answer = undefined;
    build.state = state;
    if (state === 'waiting') waiting += 1;
    if (state === 'kept') kept.add(build);
    if (state === 'landed') landed.add(build);
    if (state === 'landed' || state === 'kept') landedBytes += build.answer?.bytes ?? 0;
    if (state === 'kept' || state === 'remembered' || state === 'gone') free(build);
  }

  function free(build: Build): void {
    build.release?.();
    build.release = undefined;
    build.askedOn = undefined;
  }

  function create(requestId: string, host: BuildHost, origin: Origin, release: Build['release']): Build {
    const build: Build = {
      ...{ requestId, host, release, state: 'gone', finished: false, answer: undefined, landedAt: 0 },
      ...{ nonce: origin.nonce, claim: origin.claim, readAt: undefined },
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
    if (remembered.size <= maxRemembered) return;
    const idle = [...remembered].filter(({ pollers }) => pollers.size === 0);
    const oldest = idle.find(({ readAt }) => readAt !== undefined) ?? idle[0];
    if (oldest !== undefined) forget(oldest);
  }

  function unland(build: Build): void {
    if (isWithItsHost(build)) remember(build, true);
    else forget(build);
  }

  /** Beyond the bounds what was read goes first, then what nobody came for; what is being written stays. */
  function makeRoom(): void {
    const evict = (from: Set<Build>, isEnough: () => boolean) => {
      for (const oldest of from) {
        if (isEnough()) return;
        if (oldest.readers > 0) continue;
        evicted += 1;
        unland(oldest);
      }
    };
    evict(kept, () => landedBytes <= landedMaxBytes && kept.size <= maxKept);
    evict(landed, () => landedBytes <= landedMaxBytes);
  }

  function holdAgain(build: Build): boolean {
    if (build.release !== undefined) return true;
    const held = hold(build.requestId);
    if (held.kind === 'held') build.release = held.release;
    return held.kind !== 'in flight';
  }

  return {
    get: requestId => builds.get(requestId),
    all: () => builds.values(),
    landed: () => landed,
    kept: () => kept,
    host: hostId => hosts.get(hostId),
    hosts: () => hosts.values(),
    hostOf(stream) {
      const { hostId, schemaMax } = stream;
      const host = hosts.get(hostId) ?? {
        ...{ hostId, schemaMax, stream, awaySince: 0 },
        ...{ builds: new Set(), remembered: new Set(), unwanted: new Map() },
      };
      hosts.set(hostId, host);
      return host;
    },
    removeHost: ({ hostId }) => void hosts.delete(hostId),
    add(requestId, host, origin, release) {
      const build = create(requestId, host, origin, release);
      enter(build, 'waiting');
      return build;
    },
    addRemembered(requestId, host, origin, finished) {
      const build = create(requestId, host, origin, undefined);
      remember(build, finished);
      return build;
    },
    move(build, host, { nonce, claim }, finished) {
      build.host.builds.delete(build);
      build.host.remembered.delete(build);
      Object.assign(build, { host, nonce, claim, givenUp: false, readAt: undefined });
      Object.assign(build, { askedOn: undefined, cancelledOn: undefined });
      host.builds.add(build);
      if (finished) remember(build, true);
      else {
        holdAgain(build);
        build.finished = false;
        enter(build, 'waiting');
      }
    },
    reopen(build) {
      build.finished = false;
      enter(build, 'waiting');
    },
    land(build, answer) {
      holdAgain(build);
      build.finished = true;
      uncount(build);
      build.answer = answer;
      build.landedAt = now();
      enter(build, 'landed');
      tell(build, answer.outcome);
      makeRoom();
    },
    keep(build) {
      if (build.state !== 'kept') enter(build, 'kept');
      makeRoom();
    },
    unland,
    remember,
    forget,
    markUnwanted({ unwanted }, { requestId, nonce }) {
      unwanted.delete(requestId);
      unwanted.set(requestId, nonce);
      const [oldest] = unwanted.keys();
      if (unwanted.size > maxRemembered && oldest !== undefined) unwanted.delete(oldest);
    },
    holdAgain,
    tell,
    left,
    counts: () => ({ waiting, landed: landed.size, remembered: builds.size - waiting - landed.size }),
    evictions: () => evicted,
  };
}

/** Whether its answer is a result, which its host keeps as well and can be asked for. */
export function isWithItsHost({ answer, host }: Build): boolean {
  const outcome = answer?.outcome;
  return outcome?.kind === 'answered' && outcome.body.case === 'build' && host.schemaMax >= 2;
}
