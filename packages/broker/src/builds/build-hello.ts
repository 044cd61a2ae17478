import { type HostedBuild, HostedBuild_State } from '@coold/proto';
import type { Pending } from '../dispatch/pending.ts';
import type { HostStream } from '../hosts/hosts.ts';
import { buildIdPattern } from '../hosts/router.ts';
import { acknowledge, cancelBuild, removeResult, requestResult, sendCancel } from './build-commands.ts';
import type { GivenBuilds } from './build-given.ts';
import { type Claim, isOtherNonce, type Nonces, outranks } from './build-nonce.ts';
import { type Build, type BuildHost, type BuildTable, isLive, type Origin } from './build-table.ts';

export interface HelloReaderDeps {
  table: BuildTable;
  nonces: Nonces;
  given: Pick<GivenBuilds, 'latest'>;
  hold: Pending['hold'];
  /** Returns the monotonic clock, in ms. */
  now(): number;
}

/** How many of the running builds that a host names count against the cap, so that one host cannot use it up. */
const maxAdopted = 256;

/**
 * Reconciles the table with the builds that a host names in its Hello. The host's disk is right about builds that it was given.
 * Where two hosts name the same id, their nonces decide which of them was given it (builds.proto).
 */
export class HelloReader {
  readonly #deps: HelloReaderDeps;

  constructor(deps: HelloReaderDeps) {
    this.#deps = deps;
  }

  /**
   * Reconciles the table with the builds of a Hello.
   *
   * @returns how many were refused: those without a valid request id, or of another host
   */
  read(stream: HostStream, named: readonly HostedBuild[]): number {
    const host = this.#deps.table.hostOf(stream);
    host.stream = stream;
    host.schemaMax = stream.schemaMax;
    // A host of schema 1 does not name builds, and sends its results unasked.
    if (stream.schemaMax < 2) {
      for (const build of host.builds) if (isLive(build)) sendCancel(build);
      return 0;
    }
    const byId = new Map(named.map(build => [build.requestId, build]));
    for (const build of [...host.builds]) {
      const said = byId.get(build.requestId);
      const isSameDispatch = said !== undefined && !isOtherNonce(build.nonce, said.nonce);
      this.#reconcile(build, isSameDispatch ? said : undefined);
    }
    for (const requestId of [...host.unwanted.keys()])
      if (!byId.has(requestId)) host.unwanted.delete(requestId);
    return this.#takeOthers(host, byId);
  }

  /** Reconciles a build of this host with what the host reports. @param said undefined when the host does not name it */
  #reconcile(build: Build, said: HostedBuild | undefined): void {
    const { table } = this.#deps;
    build.givenUp = false;
    build.askedOn = undefined;
    if (build.answer?.outcome.kind === 'answered') {
      acknowledgeAgain(build, said);
      return;
    }
    switch (said?.state) {
      case undefined:
        if (build.state === 'landed') return;
        if (build.finished) {
          table.forget(build);
          return;
        }
        // The host may have received it a moment ago: its answer to a question decides. Until then the build is not part
        // of its load.
        if (build.state === 'waiting') requestResult(build, table);
        else build.finished = true;
        break;
      case HostedBuild_State.FINISHED:
        table.remember(build, true);
        acknowledgeAgain(build, said);
        break;
      case HostedBuild_State.RUNNING:
      case HostedBuild_State.QUEUED:
      case HostedBuild_State.UNSPECIFIED:
        if (build.state === 'landed') table.reopen(build);
        build.finished = false;
        sendCancel(build);
    }
    if (build.pollers.size > 0) requestResult(build, table);
  }

  /** Handles the builds that a host names and that the table does not list for it. @returns how many were refused */
  #takeOthers(host: BuildHost, named: ReadonlyMap<string, HostedBuild>): number {
    const { table } = this.#deps;
    let refused = 0;
    // Builds of an earlier Hello count as well, because a host can connect as often as it likes.
    let counted = [...host.builds].filter(({ release }) => release !== undefined).length;
    for (const said of named.values()) {
      const known = table.get(said.requestId);
      if (known?.host === host && !isOtherNonce(known.nonce, said.nonce)) continue;
      const verdict = this.#judge(host, said, known);
      switch (verdict.kind) {
        case 'dismiss':
          dismiss(table, host, said);
          break;
        case 'refuse':
          refused += 1;
          break;
        case 'adopt':
          if (this.#adopt(host, said, verdict.origin, counted < maxAdopted)) counted += 1;
          break;
        case 'supersede':
          this.#supersede(verdict.known, host, said, verdict.origin);
      }
    }
    return refused;
  }

  #judge(host: BuildHost, { requestId, nonce }: HostedBuild, known: Build | undefined): Verdict {
    const { nonces, given } = this.#deps;
    const unwanted = host.unwanted.get(requestId);
    if (unwanted !== undefined && !isOtherNonce(unwanted, nonce)) return { kind: 'dismiss' };
    const claim = buildIdPattern.test(requestId) ? nonces.judge(requestId, host.hostId, nonce) : undefined;
    if (claim === undefined) return { kind: 'refuse' };
    // A later dispatch of the id wins, even while the host that has it is away.
    if (claim.trust === 2 && claim.givenAt < given.latest(requestId)) return { kind: 'dismiss' };
    const origin = { nonce, claim };
    if (known === undefined) return { kind: 'adopt', origin };
    return judgeRival(origin, known, claim);
  }

  /** Adds a build that only its host knew. @returns whether it counts against the cap */
  #adopt(host: BuildHost, said: HostedBuild, origin: Origin, mayCount: boolean): boolean {
    const { table, hold, now } = this.#deps;
    const { requestId, wasRead } = said;
    const isFinished = said.state === HostedBuild_State.FINISHED;
    const held = isFinished || !mayCount ? undefined : hold(requestId);
    if (held?.kind === 'held') {
      table.add(requestId, host, origin, held.release);
      return true;
    }
    const build = table.addRemembered(requestId, host, origin, isFinished);
    if (isFinished && wasRead) build.readAt = now();
    return false;
  }

  /** Moves a build to a host that was given it later. What the former host has of it must not block it. */
  #supersede(known: Build, host: BuildHost, said: HostedBuild, origin: Origin): void {
    const { table } = this.#deps;
    const { requestId, nonce, finished } = known;
    const former = { host: known.host, build: { requestId, nonce } };
    table.move(known, host, origin, said.state === HostedBuild_State.FINISHED);
    if (former.host !== host) {
      table.markUnwanted(former.host, former.build);
      former.host.stream?.sendOwed(finished ? removeResult(former.build) : cancelBuild(former.build));
    }
    sendCancel(known);
    if (known.pollers.size > 0) requestResult(known, table);
  }
}

/** What to do with a build that a host names and that the table does not list for it. */
type Verdict =
  /** It does not count any more: the host is told to remove or to stop it. */
  | { kind: 'dismiss' }
  /** The host was not given it, so it is ignored. */
  | { kind: 'refuse' }
  /** Only the host knew it. */
  | { kind: 'adopt'; origin: Origin }
  /** The table has it for another host, and this one was given it later. */
  | { kind: 'supersede'; known: Build; origin: Origin };

function judgeRival(origin: Origin, known: Build, claim: Claim): Verdict {
  // A host can invent a nonce of less trust. Such a nonce must not take a build from another host, or make that host
  // lose its own.
  if (claim.trust < 2) return { kind: 'refuse' };
  return outranks(claim, known.claim) ? { kind: 'supersede', known, origin } : { kind: 'dismiss' };
}

/** Tells a host again that a result was read, because the first message was lost with a stream. */
function acknowledgeAgain(build: Build, said: HostedBuild | undefined): void {
  if (build.readAt === undefined || said?.state !== HostedBuild_State.FINISHED || said.wasRead) return;
  build.host.stream?.sendOwed(acknowledge(build));
}

/** Tells a host to remove or to stop a build, which otherwise keeps using the id and image name of another build. */
function dismiss(table: BuildTable, host: BuildHost, said: HostedBuild): void {
  table.markUnwanted(host, said);
  const isFinished = said.state === HostedBuild_State.FINISHED;
  host.stream?.sendOwed(isFinished ? removeResult(said) : cancelBuild(said));
}
