import { type Failure, failure } from '@coold/errors';
import { BuildKnowledge } from '@coold/proto';
import { errorMessage } from '@coold/runtime';
import type { FoundBuild, RemoteBuilds } from '../../builds/remote-builds.ts';
import type { HostLocator } from '../../hosts/host-locator.ts';
import type { PeerQuestion } from '../link/ask-peer.ts';
import { PeerError } from '../link/peer-call.ts';
import type { PeerPlace } from '../membership/peer-places.ts';
import type { BuildAsker } from './ask-about-build.ts';
import { readBuildAnswer } from './build-answer.ts';

export interface BuildFinderDeps {
  asker: Pick<BuildAsker, 'ask'>;
  locate: HostLocator['locate'];
  /** Returns the other brokers that live. */
  others(): readonly PeerPlace[];
}

type Found = Awaited<ReturnType<RemoteBuilds['find']>>;

/** How long a broker may take to say whether it has a build, in ms. */
const locateMs = 2000;
/** The most builds whose hosts are remembered, so that not every call has to ask all brokers. */
const maxRemembered = 10_000;

/** Finds the broker that has a build which this one does not know. */
export class BuildFinder {
  readonly #deps: BuildFinderDeps;
  /** The hosts of builds that other brokers have, the oldest first. */
  readonly #hostOf = new Map<string, string>();
  /** The searches under way, so that calls that ask for the same build share one. */
  readonly #searches = new Map<string, Promise<Found>>();

  constructor(deps: BuildFinderDeps) {
    this.#deps = deps;
  }

  /** Remembers the host that a build was given to. */
  remember(requestId: string, hostId: string): void {
    this.#hostOf.delete(requestId);
    this.#hostOf.set(requestId, hostId);
    const [oldest] = this.#hostOf.keys();
    if (this.#hostOf.size > maxRemembered && oldest !== undefined) this.#hostOf.delete(oldest);
  }

  /** As `RemoteBuilds.find`. */
  async find(requestId: string, isWrong = false): Promise<Found> {
    const hostId = this.#hostOf.get(requestId);
    if (hostId !== undefined && !isWrong) {
      const location = this.#deps.locate(hostId);
      if (location.kind === 'other broker') return { place: location.route, isHere: true };
    }
    if (isWrong) this.#hostOf.delete(requestId);
    const found = await (this.#searches.get(requestId) ?? this.#search(requestId));
    // The host that was given it is connected to no broker now, and may come back with it.
    if (found === 'unknown' && hostId !== undefined && !isWrong)
      return failure('build_host_away', 'builder host disconnected');
    return found;
  }

  /** Asks all other brokers. The first that has the build's host or its result is the one. */
  #search(requestId: string): Promise<Found> {
    const search = new Search(this.#deps.asker, requestId);
    this.#searches.set(requestId, search.found);
    void search.found.then(found => {
      this.#searches.delete(requestId);
      if (typeof found === 'object' && 'place' in found) this.remember(requestId, found.place.hostId);
    });
    search.askAll(this.#deps.others());
    return search.found;
  }
}

/** One search for a build. It ends with the first broker that has it, or when all have answered or failed. */
class Search {
  /** Never rejects. */
  readonly found: Promise<Found>;
  readonly #resolve: (found: Found) => void;
  readonly #asker: Pick<BuildAsker, 'ask'>;
  readonly #requestId: string;
  readonly #questions: PeerQuestion[] = [];
  /** Why brokers did not answer. */
  readonly #silent: string[] = [];
  /** A broker that knows the build, and whose host of it is away. */
  #away: FoundBuild | undefined;

  constructor(asker: Pick<BuildAsker, 'ask'>, requestId: string) {
    const { promise, resolve } = Promise.withResolvers<Found>();
    this.found = promise;
    this.#resolve = resolve;
    this.#asker = asker;
    this.#requestId = requestId;
  }

  askAll(peers: readonly PeerPlace[]): void {
    void Promise.all(peers.map(peer => this.#ask(peer))).then(() => this.#conclude());
    void this.found.then(() => {
      for (const question of this.#questions) question.cancel();
    });
  }

  async #ask(peer: PeerPlace): Promise<void> {
    try {
      const question = this.#asker.ask(peer, this.#requestId, { case: 'locate', value: {} }, locateMs);
      this.#questions.push(question);
      const body = readBuildAnswer(this.#requestId, await question.answer);
      if (body?.case !== 'place') throw new Error('answered nothing that is known here');
      const { knowledge, hostId } = body.value;
      if (knowledge === BuildKnowledge.UNSPECIFIED || hostId === '') return;
      const place = { hostId: hostId.slice(0, 128), brokerId: peer.brokerId, address: peer.address };
      if (knowledge === BuildKnowledge.HERE) this.#resolve({ place, isHere: true });
      else this.#away ??= { place, isHere: false };
    } catch (error) {
      // A broker of an older version does not know the question, now or later.
      if (error instanceof PeerError && error.isUnimplemented) return;
      this.#silent.push(`broker ${peer.brokerId} at ${peer.address} ${errorMessage(error)}`);
    }
  }

  #conclude(): void {
    if (this.#away !== undefined) this.#resolve(this.#away);
    else if (this.#silent.length === 0) this.#resolve('unknown');
    else this.#resolve(notSure(this.#silent));
  }
}

function notSure(silent: readonly string[]): Failure {
  return failure(
    'host_place_unknown',
    `no broker that answered knows this build, and not all have answered: ${silent.slice(0, 3).join('; ')}`,
  );
}
