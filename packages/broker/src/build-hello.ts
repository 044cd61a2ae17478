import { type HostedBuild, HostedBuild_State } from '@coold/proto';
import { acknowledge, cancelBuild, removeResult } from './build-commands.ts';
import { isOtherNonce, type Nonces, outranks } from './build-nonce.ts';
import type { Build, BuildHost, BuildTable, Origin } from './build-table.ts';
import type { HostStream } from './hosts.ts';
import type { Pending } from './pending.ts';
import { requestIdPattern } from './router.ts';

export interface HelloReaderDeps {
  table: BuildTable;
  nonces: Nonces;
  hold: Pending['hold'];
  /** The monotonic clock, in ms. */
  now(): number;
  /** Asks a build's host for its result. */
  ask(build: Build): void;
  /** Tells a build's host that it is cancelled, if it is. */
  sendCancel(build: Build): void;
  isLive(build: Build): boolean;
}

/** Builds that a host may name as under way and that count against the cap, so that no host uses it up. */
const maxAdopted = 256;

/**
 * Makes what is known here of a host's builds agree with what the host itself says as it connects: its disk is right about
 * builds that it was given. Which host that is, of two that name the same id, is said by their nonces (builds.proto).
 *
 * @returns a function that takes a stream and the builds named in its Hello, and returns how many were not taken in
 */
export function createHelloReader(deps: HelloReaderDeps) {
  const { table, nonces, hold, now, ask, sendCancel, isLive } = deps;

  /** What a host says at its Hello of a build that is known here; undefined: it does not have it. */
  function reconcile(build: Build, said: HostedBuild | undefined): void {
    build.givenUp = false;
    build.askedOn = undefined;
    if (build.answer?.outcome.kind === 'answered') {
      tellRead(build, said);
      return;
    }
    switch (said?.state) {
      case undefined:
        if (build.state === 'landed') return;
        if (build.finished) {
          table.forget(build);
          return;
        }
        // Perhaps it has only just taken it: its answer to a question decides. Until then it is no load.
        if (build.state === 'waiting') ask(build);
        else build.finished = true;
        break;
      case HostedBuild_State.FINISHED:
        table.remember(build, true);
        tellRead(build, said);
        break;
      case HostedBuild_State.RUNNING:
      case HostedBuild_State.QUEUED:
      case HostedBuild_State.UNSPECIFIED:
        if (build.state === 'landed') table.reopen(build);
        build.finished = false;
        sendCancel(build);
    }
    if (build.pollers.size > 0) ask(build);
  }

  /** What told it that the result was read was lost with a stream. */
  function tellRead(build: Build, said: HostedBuild | undefined): void {
    if (build.readAt === undefined || said?.state !== HostedBuild_State.FINISHED || said.wasRead) return;
    build.host.stream?.sendOwed(acknowledge(build));
  }

  /** A build that only its host knew of. @returns whether it counts against the cap */
  function adopt(host: BuildHost, said: HostedBuild, origin: Origin, mayCount: boolean): boolean {
    const { requestId, wasRead } = said;
    const isFinished = said.state === HostedBuild_State.FINISHED;
    const held = isFinished || !mayCount ? undefined : hold(requestId);
    if (held?.kind === 'held') table.add(requestId, host, origin, held.release);
    else {
      const build = table.addRemembered(requestId, host, origin, isFinished);
      if (isFinished && wasRead) build.readAt = now();
    }
    return held?.kind === 'held';
  }

  /** Another host has it, and was given it later: what the former has of it must not stand in its way. */
  function supersede(known: Build, host: BuildHost, said: HostedBuild, origin: Origin): void {
    const { requestId, nonce, finished } = known;
    const former = { host: known.host, build: { requestId, nonce } };
    table.move(known, host, origin, said.state === HostedBuild_State.FINISHED);
    if (former.host !== host) {
      table.markUnwanted(former.host, former.build);
      former.host.stream?.sendOwed(finished ? removeResult(former.build) : cancelBuild(former.build));
    }
    sendCancel(known);
    if (known.pollers.size > 0) ask(known);
  }

  /** A build that counts no more, which its host has all the same; if it runs, another has its id, and its image's name. */
  function dismiss(host: BuildHost, said: HostedBuild): void {
    table.markUnwanted(host, said);
    const isFinished = said.state === HostedBuild_State.FINISHED;
    host.stream?.sendOwed(isFinished ? removeResult(said) : cancelBuild(said));
  }

  /** What a host names at its Hello beside the builds of its own that are known here. @returns how many were refused */
  function takeIn(host: BuildHost, named: ReadonlyMap<string, HostedBuild>): number {
    let refused = 0;
    // What it named before counts as well: it connects as often as it likes.
    let counted = [...host.builds].filter(({ release }) => release !== undefined).length;
    for (const [requestId, said] of named) {
      const { nonce } = said;
      const known = table.get(requestId);
      if (known?.host === host && !isOtherNonce(known.nonce, nonce)) continue;
      const unwanted = host.unwanted.get(requestId);
      const isUnwanted = unwanted !== undefined && !isOtherNonce(unwanted, nonce);
      const claim = requestIdPattern.test(requestId)
        ? nonces.judge(requestId, host.hostId, nonce)
        : undefined;
      if (isUnwanted) dismiss(host, said);
      else if (claim === undefined) refused += 1;
      else if (known === undefined) {
        if (adopt(host, said, { nonce, claim }, counted < maxAdopted)) counted += 1;
      } else if (outranks(claim, known.claim)) supersede(known, host, said, { nonce, claim });
      else if (claim.trust === 2) dismiss(host, said);
      else refused += 1;
    }
    return refused;
  }

  return (stream: HostStream, named: readonly HostedBuild[]): number => {
    const host = table.hostOf(stream);
    host.stream = stream;
    host.schemaMax = stream.schemaMax;
    // A host of schema 1 names none, and answers on its own what it has.
    if (stream.schemaMax < 2) {
      for (const build of host.builds) if (isLive(build)) sendCancel(build);
      return 0;
    }
    const said = new Map(named.map(build => [build.requestId, build]));
    for (const build of [...host.builds]) {
      const one = said.get(build.requestId);
      const isThis = one !== undefined && !isOtherNonce(build.nonce, one.nonce);
      reconcile(build, isThis ? one : undefined);
    }
    for (const requestId of [...host.unwanted.keys()])
      if (!said.has(requestId)) host.unwanted.delete(requestId);
    return takeIn(host, said);
  };
}
