import { type HostedBuild, HostedBuild_State } from '@coold/proto';
import { acknowledge, cancelBuild } from './build-commands.ts';
import type { Build, BuildHost, BuildTable } from './build-table.ts';
import type { HostStream } from './hosts.ts';
import type { Pending } from './pending.ts';
import { requestIdPattern } from './router.ts';

export interface HelloReaderDeps {
  table: BuildTable;
  hold: Pending['hold'];
  /** Asks a build's host for its result. */
  ask(build: Build): void;
  /** Tells a build's host that it is cancelled, if it is. */
  sendCancel(build: Build): void;
  isLive(build: Build): boolean;
}

/** Builds that a host may name as under way and that count against the cap, so that no host uses it up. */
const maxAdopted = 256;

/**
 * Makes what is known here of a host's builds agree with what the host itself says as it connects: its disk is right.
 *
 * @returns a function that takes a stream and the builds named in its Hello, and returns how many were not taken in
 */
export function createHelloReader({ table, hold, ask, sendCancel, isLive }: HelloReaderDeps) {
  /** What a host says at its Hello of a build that is known here; undefined: it does not have it. */
  function reconcile(build: Build, state: HostedBuild_State | undefined): void {
    build.givenUp = false;
    build.askedOn = undefined;
    if (build.state === 'landed' && build.answer?.outcome.kind === 'answered') return;
    switch (state) {
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

  /** A build that only its host knew of. @returns whether it counts against the cap */
  function adopt(host: BuildHost, requestId: string, isFinished: boolean, mayCount: boolean): boolean {
    const held = isFinished || !mayCount ? undefined : hold(requestId);
    if (held?.kind === 'held') table.add(requestId, host, held.release);
    else table.addRemembered(requestId, host, isFinished);
    return held?.kind === 'held';
  }

  /** What a host names at its Hello beside the builds of its own that are known here. @returns how many were refused */
  function takeIn(
    host: BuildHost,
    stream: HostStream,
    named: ReadonlyMap<string, HostedBuild_State>,
  ): number {
    let refused = 0;
    let counted = 0;
    for (const [requestId, state] of named) {
      const known = table.get(requestId);
      if (known?.host === host) continue;
      const isFinished = state === HostedBuild_State.FINISHED;
      if (host.read.has(requestId)) {
        // Its answer is out. If it runs still, another build has its id, and perhaps the name of its image.
        stream.sendOwed(isFinished ? acknowledge(requestId) : cancelBuild(requestId));
      } else if (known !== undefined || !requestIdPattern.test(requestId)) refused += 1;
      else if (adopt(host, requestId, isFinished, counted < maxAdopted)) counted += 1;
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
    const states = new Map(named.map(({ requestId, state }) => [requestId, state]));
    for (const build of [...host.builds]) reconcile(build, states.get(build.requestId));
    for (const requestId of [...host.read]) if (!states.has(requestId)) host.read.delete(requestId);
    return takeIn(host, stream, states);
  };
}
