import type { Response } from '@coold/proto';
import type { Hold } from '../dispatch/pending.ts';
import type { HostStream } from '../hosts/hosts.ts';
import type { NamedBuild } from './build-commands.ts';
import type { Claim } from './build-nonce.ts';

/** What a poller is told of a build. */
export type BuildOutcome =
  | { kind: 'answered'; hostId: string; body: Response['body'] }
  /** The host was asked after it had been away, and does not know the build. */
  | { kind: 'lost' }
  /** `host gone`: the host has been away for longer than its grace. `unknown`: the host has no result of it any more. */
  | { kind: 'host gone' | 'unknown' }
  | { kind: 'timeout' | 'stopping' };

export interface Answer {
  outcome: Extract<BuildOutcome, { kind: 'answered' } | { kind: 'lost' }>;
  bytes: number;
}

/**
 * The state of a build at this broker. Allowed transitions: waiting → landed or remembered, landed → kept, remembered or
 * waiting, kept → remembered, remembered → waiting or landed, and every state → gone.
 */
export type BuildState =
  /** The host was given the build, and its answer is waited for. It counts against the cap. */
  | 'waiting'
  /** The answer is here, and no caller has read it. It counts against the cap. */
  | 'landed'
  /** The answer is here for callers that ask again. It does not count against the cap. */
  | 'kept'
  /** Only the host has the build or its result, and can be asked for it. It counts against the cap while a poller waits. */
  | 'remembered'
  /** It is no longer in the table, and nothing that is done to it has an effect. */
  | 'gone';

/** One build. Only `BuildTable` changes `state` and what depends on it. */
export interface Build extends NamedBuild {
  readonly requestId: string;
  host: BuildHost;
  /** How far the host is believed that it was given the build. */
  claim: Claim;
  state: BuildState;
  /** Whether the host has a result: then the build is no load of the host, and cannot be cancelled. */
  finished: boolean;
  /** Frees the request id. Present while the build counts against the cap. */
  release: (() => void) | undefined;
  answer: Answer | undefined;
  /** When the answer arrived, by the monotonic clock in ms. */
  landedAt: number;
  /**
   * When the answer was first sent whole to a caller, by the monotonic clock in ms. undefined: no caller has read it.
   */
  readAt: number | undefined;
  /** How many replies with the answer are being written. */
  readers: number;
  pollers: Set<(outcome: BuildOutcome) => void>;
  /** The stream on which the host was last asked for the result. */
  askedOn: HostStream | undefined;
  /** The stream on which the host was last told to stop the build. */
  cancelledOn: HostStream | undefined;
  cancelWanted: boolean;
  /** Whether a caller was told that the host stays away: then another build may take the id. */
  givenUp: boolean;
}

/** A host with the builds that it has or had. It outlives the host's stream. */
export interface BuildHost {
  readonly hostId: string;
  schemaMax: number;
  /** undefined while the host is away. */
  stream: HostStream | undefined;
  /** When the last stream ended, in ms of the monotonic clock. */
  awaySince: number;
  builds: Set<Build>;
  /** The remembered ones of `builds`, the oldest first. */
  remembered: Set<Build>;
  /**
   * The nonces, by request id, of builds that the host must remove or stop as soon as it names them. An earlier command
   * may have been lost with a stream.
   */
  unwanted: Map<string, string>;
}

/** The origin of a build: its dispatch, or its host's report. */
export interface Origin {
  nonce: string;
  claim: Claim;
}

export interface BuildTableOptions {
  hold(requestId: string): Hold;
  /** Returns the monotonic clock, in ms. */
  now(): number;
  /** The most bytes of answers kept here. Beyond it the oldest are dropped, whatever their age. */
  landedMaxBytes: number;
}

export interface BuildCounts {
  waiting: number;
  /** Answers that wait for a caller. */
  landed: number;
  /** Builds that do not count against the cap, because their hosts have them or their results were read. */
  remembered: number;
}

/** The most remembered builds of one host, and the most unwanted ones. */
const maxRemembered = 2000;
/**
 * The most answers kept after they were read. Beyond it the oldest are dropped, and fetched from their hosts again when
 * needed.
 */
const maxKept = 10_000;

/**
 * The builds and their hosts. Every change of state goes through `#enter`, which updates the ids, counts and bounds that
 * depend on it.
 */
export class BuildTable {
  readonly #options: BuildTableOptions;
  readonly #builds = new Map<string, Build>();
  readonly #hosts = new Map<string, BuildHost>();
  /** Builds in the state landed, oldest first. */
  readonly #landed = new Set<Build>();
  /** Builds in the state kept, oldest first. */
  readonly #kept = new Set<Build>();
  /** The bytes of all answers that are landed or kept. */
  #answerBytes = 0;
  #waiting = 0;
  #evicted = 0;

  constructor(options: BuildTableOptions) {
    this.#options = options;
  }

  get(requestId: string): Build | undefined {
    return this.#builds.get(requestId);
  }

  all(): Iterable<Build> {
    return this.#builds.values();
  }

  landed(): Iterable<Build> {
    return this.#landed;
  }

  kept(): Iterable<Build> {
    return this.#kept;
  }

  host(hostId: string): BuildHost | undefined {
    return this.#hosts.get(hostId);
  }

  hosts(): Iterable<BuildHost> {
    return this.#hosts.values();
  }

  /** Returns the host of a live stream, and adds it when it is new. */
  hostOf(stream: HostStream): BuildHost {
    const { hostId, schemaMax } = stream;
    const known = this.#hosts.get(hostId);
    if (known !== undefined) return known;
    const host: BuildHost = {
      hostId,
      schemaMax,
      stream,
      awaySince: 0,
      builds: new Set(),
      remembered: new Set(),
      unwanted: new Map(),
    };
    this.#hosts.set(hostId, host);
    return host;
  }

  removeHost({ hostId }: BuildHost): void {
    this.#hosts.delete(hostId);
  }

  /** Adds a build in the state waiting. @param release frees the request id, which is held */
  add(requestId: string, host: BuildHost, origin: Origin, release: () => void): Build {
    const build = this.#create(requestId, host, origin, release);
    this.#enter(build, 'waiting');
    return build;
  }

  /** Adds a build in the state remembered. */
  addRemembered(requestId: string, host: BuildHost, origin: Origin, finished: boolean): Build {
    const build = this.#create(requestId, host, origin, undefined);
    this.remember(build, finished);
    return build;
  }

  /** Moves a build to another host, which was given it later. Its pollers wait for that host's answer. */
  move(build: Build, host: BuildHost, { nonce, claim }: Origin, finished: boolean): void {
    build.host.builds.delete(build);
    build.host.remembered.delete(build);
    build.host = host;
    build.nonce = nonce;
    build.claim = claim;
    build.givenUp = false;
    build.readAt = undefined;
    build.askedOn = undefined;
    build.cancelledOn = undefined;
    host.builds.add(build);
    if (finished) this.remember(build, true);
    else {
      this.holdAgain(build);
      this.reopen(build);
    }
  }

  /** Any state → waiting: the broker's own answer, `lost`, was wrong. */
  reopen(build: Build): void {
    build.finished = false;
    this.#enter(build, 'waiting');
  }

  /** waiting or remembered → landed; the pollers get the answer. */
  land(build: Build, answer: Answer): void {
    this.holdAgain(build);
    build.finished = true;
    this.#uncount(build);
    build.answer = answer;
    build.landedAt = this.#options.now();
    this.#enter(build, 'landed');
    this.tell(build, answer.outcome);
    this.#makeRoom();
  }

  /** landed → kept: the answer stays for callers that ask again, as long as there is room. */
  keep(build: Build): void {
    if (build.state !== 'kept') this.#enter(build, 'kept');
    this.#makeRoom();
  }

  /** landed or kept → remembered when the host can be asked for the answer again, else → gone. */
  dropAnswer(build: Build): void {
    if (isWithItsHost(build)) this.remember(build, true);
    else this.forget(build);
  }

  /** Any state → remembered. Beyond the host's limit, another build is forgotten. */
  remember(build: Build, finished: boolean): void {
    this.#enter(build, 'remembered');
    build.finished = finished;
    const { remembered } = build.host;
    remembered.add(build);
    if (remembered.size <= maxRemembered) return;
    const idle = [...remembered].filter(({ pollers }) => pollers.size === 0);
    const oldest = idle.find(({ readAt }) => readAt !== undefined) ?? idle[0];
    if (oldest !== undefined) this.forget(oldest);
  }

  /** Any state → gone. Its pollers get `unknown`. */
  forget(build: Build): void {
    this.#enter(build, 'gone');
    this.#builds.delete(build.requestId);
    build.host.builds.delete(build);
    this.tell(build, { kind: 'unknown' });
  }

  /** Records that a host must remove or stop a build as soon as it names it. */
  markUnwanted({ unwanted }: BuildHost, { requestId, nonce }: NamedBuild): void {
    unwanted.delete(requestId);
    unwanted.set(requestId, nonce);
    const [oldest] = unwanted.keys();
    if (unwanted.size > maxRemembered && oldest !== undefined) unwanted.delete(oldest);
  }

  /**
   * Holds the id of a remembered build again, because its host is asked now. A full cap does not prevent this: others
   * that wait must not keep a reader from a result that exists.
   *
   * @returns false when something else holds the id
   */
  holdAgain(build: Build): boolean {
    if (build.release !== undefined) return true;
    const held = this.#options.hold(build.requestId);
    if (held.kind === 'held') build.release = held.release;
    return held.kind !== 'in flight';
  }

  /** Sends an outcome to all pollers, which then stop waiting. */
  tell(build: Build, outcome: BuildOutcome): void {
    const told = [...build.pollers];
    build.pollers.clear();
    for (const poller of told) poller(outcome);
    this.pollerLeft(build);
  }

  /** Call after a poller has left. */
  pollerLeft(build: Build): void {
    // A host that never answers must not use up the cap.
    if (build.state === 'remembered' && build.pollers.size === 0) free(build);
  }

  counts(): BuildCounts {
    const { size: landed } = this.#landed;
    return { waiting: this.#waiting, landed, remembered: this.#builds.size - this.#waiting - landed };
  }

  /** Returns how many answers were dropped before their time to make room, since the start. Their hosts still have them. */
  evictions(): number {
    return this.#evicted;
  }

  #create(requestId: string, host: BuildHost, origin: Origin, release: Build['release']): Build {
    const build: Build = {
      requestId,
      host,
      nonce: origin.nonce,
      claim: origin.claim,
      state: 'gone',
      finished: false,
      release,
      answer: undefined,
      landedAt: 0,
      readAt: undefined,
      readers: 0,
      pollers: new Set(),
      askedOn: undefined,
      cancelledOn: undefined,
      cancelWanted: false,
      givenUp: false,
    };
    this.#builds.set(requestId, build);
    host.builds.add(build);
    return build;
  }

  #enter(build: Build, state: BuildState): void {
    if (build.state === 'waiting') this.#waiting -= 1;
    this.#uncount(build);
    build.host.remembered.delete(build);
    if (state !== 'landed' && state !== 'kept') build.answer = undefined;
    build.state = state;
    if (state === 'waiting') this.#waiting += 1;
    if (state === 'kept') this.#kept.add(build);
    if (state === 'landed') this.#landed.add(build);
    if (state === 'landed' || state === 'kept') this.#answerBytes += build.answer?.bytes ?? 0;
    if (state === 'kept' || state === 'remembered' || state === 'gone') free(build);
  }

  #uncount(build: Build): void {
    if (this.#landed.delete(build) || this.#kept.delete(build)) this.#answerBytes -= build.answer?.bytes ?? 0;
  }

  /**
   * Drops answers beyond the limits: first those that were read, then the others. An answer that is being written stays.
   */
  #makeRoom(): void {
    const { landedMaxBytes } = this.#options;
    this.#evict(this.#kept, () => this.#answerBytes <= landedMaxBytes && this.#kept.size <= maxKept);
    this.#evict(this.#landed, () => this.#answerBytes <= landedMaxBytes);
  }

  #evict(from: ReadonlySet<Build>, isEnough: () => boolean): void {
    for (const oldest of from) {
      if (isEnough()) return;
      if (oldest.readers > 0) continue;
      this.#evicted += 1;
      this.dropAnswer(oldest);
    }
  }
}

/** Frees the id: the build no longer counts against the cap. */
function free(build: Build): void {
  build.release?.();
  build.release = undefined;
  build.askedOn = undefined;
}

/** Whether a build has not ended at its host, as far as is known here. */
export function isLive({ state, finished }: Build): boolean {
  return state === 'waiting' || (state === 'remembered' && !finished);
}

/** Whether the answer is a result that the host keeps, too, and can be asked for. */
export function isWithItsHost({ answer, host }: Build): boolean {
  const outcome = answer?.outcome;
  return outcome?.kind === 'answered' && outcome.body.case === 'build' && host.schemaMax >= 2;
}
