import { type Failure, failure } from '@coold/errors';
import { type BuildCall, type BuildReply, isUnknownBuild, refuseBuild } from '../builds/build-envelope.ts';
import type { Builds } from '../builds/builds.ts';
import type { FoundBuild, RemoteBuilds } from '../builds/remote-builds.ts';
import type { HostLocator } from '../hosts/host-locator.ts';
import type { HostPlace } from '../peers/routes/route.ts';

/** Where a call about a build is made. */
export type BuildPlace =
  /** At this broker. */
  | { kind: 'here' }
  /** At another broker. `isMoved`: this broker gave the build to its host, which has connected to that broker since. */
  | ({ kind: 'away'; isMoved: boolean } & FoundBuild)
  /** It could not be found out. */
  | { kind: 'refused'; failure: Failure };

/** How one call is made at either place. */
export interface BuildCallAt<T> {
  here(): T | Promise<T>;
  away(others: RemoteBuilds, place: HostPlace): Promise<T>;
}

const here: BuildPlace = { kind: 'here' };

/** Finds out which broker has a build, and makes calls about it there. */
export class BuildCallRouter {
  readonly #builds: Pick<Builds, 'whereIs'>;
  readonly #locator: Pick<HostLocator, 'locate' | 'builds'> | undefined;

  constructor({
    builds,
    locator,
  }: { builds: Pick<Builds, 'whereIs'>; locator: Pick<HostLocator, 'locate' | 'builds'> | undefined }) {
    this.#builds = builds;
    this.#locator = locator;
  }

  /** Returns where calls about a build are made. */
  placeOf(requestId: string): BuildPlace | Promise<BuildPlace> {
    if (this.#locator === undefined) return here;
    const known = this.#builds.whereIs(requestId);
    if (known === undefined) return this.#search(requestId);
    if (known.stream !== undefined || known.isAnswered) return here;
    // Its host may have connected to another broker, and has told that one of the build.
    const location = this.#locator.locate(known.hostId);
    return location.kind === 'other broker'
      ? { kind: 'away', isMoved: true, place: location.route, isHere: true }
      : here;
  }

  /** Makes a call about a build where the build is. */
  async call<T extends BuildReply | undefined>(
    requestId: string,
    stage: BuildCall,
    make: BuildCallAt<T>,
  ): Promise<T | BuildReply> {
    let place = await this.placeOf(requestId);
    for (let isFirst = true; ; isFirst = false) {
      if (place.kind === 'refused') return refuseBuild(stage, { requestId, ...place.failure });
      if (place.kind === 'here' || this.#locator === undefined) return make.here();
      const reply = await make.away(this.#locator.builds, place.place);
      if (reply === undefined || !isUnknownBuild(reply)) return reply;
      if (place.isMoved) return stage === 'result' ? lost(requestId) : reply;
      // The remembered host of the build led to a broker that does not have it. All brokers are asked once.
      if (!isFirst) return reply;
      place = await this.#search(requestId, true);
    }
  }

  /** Looks for a build at the other brokers. Where none has it, this broker answers that it is unknown. */
  async #search(requestId: string, isWrong = false): Promise<BuildPlace> {
    if (this.#locator === undefined) return here;
    const found = await this.#locator.builds.find(requestId, isWrong);
    if (found === 'unknown') return here;
    if ('code' in found) return { kind: 'refused', failure: found };
    return { kind: 'away', isMoved: false, ...found };
  }
}

function lost(requestId: string): BuildReply {
  const why = failure('build_lost', 'builder host came back without the build');
  return refuseBuild('result', { requestId, ...why });
}
