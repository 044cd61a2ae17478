import { brokerStopping, type Failure, failure } from '@coold/errors';
import { errorMessage } from '@coold/runtime';
import type { ResultPoll } from '../../builds/build-calls.ts';
import { type BuildCall, type BuildReply, refuseBuild } from '../../builds/build-envelope.ts';
import type { RemoteBuilds } from '../../builds/remote-builds.ts';
import type { HostLocator } from '../../hosts/host-locator.ts';
import { heldBy, movedAway } from '../forward/forward.ts';
import type { PeerQuestion } from '../link/ask-peer.ts';
import { PeerError } from '../link/peer-call.ts';
import type { PeerLinks } from '../link/peer-links.ts';
import type { PeerPlace } from '../membership/peer-places.ts';
import type { HostPlace } from '../routes/route.ts';
import { type BuildAsker, type BuildQuestion, createBuildAsker } from './ask-about-build.ts';
import { readBuildAnswer, replyOf } from './build-answer.ts';
import { BuildFinder } from './find-build.ts';

/** How a call about a build at another broker ended. Metrics count by it. */
export type BuildForwardOutcome = 'answered' | 'refused' | 'failed';

export interface RemoteBuildsDeps {
  brokerId: string;
  links: Pick<PeerLinks, 'to'>;
  locate: HostLocator['locate'];
  /** Returns the other brokers that live. */
  others(): readonly PeerPlace[];
  /** How long a call may take that does not wait for a build, in ms. */
  timeoutMs: number;
  count(outcome: BuildForwardOutcome): void;
}

/** How long the answer to a poll may take beyond the time that its caller waits, in ms. */
const wayBackMs = 1000;

/** What has to be asked of the other broker itself where that is of an older version. */
const askedFor: Record<BuildCall, string> = {
  dispatch: 'a build for it',
  result: 'its result',
  cancel: 'its cancel',
  events: 'its progress',
  delete: 'its removal',
};

export function createRemoteBuilds({
  brokerId,
  links,
  locate,
  others,
  timeoutMs,
  count,
}: RemoteBuildsDeps): RemoteBuilds {
  const asker = createBuildAsker(brokerId, links);
  const finder = new BuildFinder({ asker, locate, others });
  /** The polls under way. */
  const polls = new Set<RemotePoll>();
  let isStopping = false;

  /** Makes a call that does not wait for a build. @returns undefined once it is done, else the refusal */
  async function call(
    place: HostPlace,
    requestId: string,
    stage: BuildCall,
    question: BuildQuestion,
  ): Promise<BuildReply | undefined> {
    try {
      const bytes = await asker.ask(place, requestId, question, timeoutMs).answer;
      const { outcome, reply } = judgeAnswer(place, requestId, stage, bytes);
      count(outcome);
      return reply;
    } catch (error) {
      count('failed');
      return refuseBuild(stage, { requestId, ...unanswered(place, stage, error) });
    }
  }

  return {
    find: (requestId, isWrong) => finder.find(requestId, isWrong),

    async dispatch(place, requestId, body) {
      const value = { body: Buffer.from(JSON.stringify(body)) };
      // Remembered before the answer: a caller that never receives it asks for the result all the same.
      finder.remember(requestId, place.hostId);
      return call(place, requestId, 'dispatch', { case: 'order', value });
    },

    result(place, requestId, waitMs) {
      if (isStopping)
        return {
          reply: Promise.resolve(refuseBuild('result', { requestId, ...brokerStopping })),
          close() {},
        };
      const poll = new RemotePoll({ asker, place, requestId, count });
      polls.add(poll);
      void poll.reply.then(() => polls.delete(poll));
      void poll.ask(waitMs);
      return poll;
    },

    cancel: (place, requestId) => call(place, requestId, 'cancel', { case: 'cancel', value: {} }),
    remove: (place, requestId) => call(place, requestId, 'delete', { case: 'forget', value: {} }),

    stop() {
      isStopping = true;
      for (const poll of polls) poll.stop();
    },
  };
}

interface RemotePollOptions {
  asker: BuildAsker;
  place: HostPlace;
  requestId: string;
  count(outcome: BuildForwardOutcome): void;
}

/** A caller here that waits for the result of a build that another broker has. */
class RemotePoll implements ResultPoll {
  readonly reply: Promise<BuildReply>;
  readonly #resolve: (reply: BuildReply) => void;
  readonly #options: RemotePollOptions;
  #question: PeerQuestion | undefined;
  /** Whether the other broker answered: only then its result counts as read once the reply was written. */
  #isAnswered = false;

  constructor(options: RemotePollOptions) {
    const { promise, resolve } = Promise.withResolvers<BuildReply>();
    this.reply = promise;
    this.#resolve = resolve;
    this.#options = options;
  }

  /** Asks the other broker, which waits for the result for at most `waitMs`. Never rejects. */
  async ask(waitMs: number): Promise<void> {
    const { asker, place, requestId, count } = this.#options;
    try {
      const question = { case: 'result', value: { timeoutMs: waitMs } } as const;
      this.#question = asker.ask(place, requestId, question, waitMs + wayBackMs);
      const judged = judgeAnswer(place, requestId, 'result', await this.#question.answer);
      count(judged.outcome);
      this.#isAnswered = true;
      const nothing = failure('peer_failed', `${heldBy(place)}, which answered nothing`);
      this.#resolve(judged.reply ?? this.#refused(nothing));
    } catch (error) {
      if (!(error instanceof PeerError && error.kind === 'cancelled')) count('failed');
      this.#resolve(this.#refused(unanswered(place, 'result', error)));
    }
  }

  /** Tells the caller that this broker stops. */
  stop(): void {
    this.#resolve(this.#refused(brokerStopping));
  }

  close(written: boolean): void {
    const { asker, place, requestId } = this.#options;
    if (this.#question === undefined) return;
    if (written && this.#isAnswered) asker.confirmTaken(this.#question, place, requestId);
    else this.#question.cancel();
  }

  #refused(why: Failure): BuildReply {
    return refuseBuild('result', { requestId: this.#options.requestId, ...why });
  }
}

/** Returns what an answer means for the caller. `reply` is undefined where the call is done. */
function judgeAnswer(
  place: HostPlace,
  requestId: string,
  stage: BuildCall,
  bytes: Buffer,
): { outcome: BuildForwardOutcome; reply: BuildReply | undefined } {
  const body = readBuildAnswer(requestId, bytes);
  if (body?.case === 'done' && stage !== 'result') return { outcome: 'answered', reply: undefined };
  const reply = body === undefined ? undefined : replyOf(requestId, body);
  if (reply === undefined || (reply.envelope.status === 'ok' && stage !== 'result')) {
    const why = failure('peer_failed', `${heldBy(place)}, which answered nothing that is known here`);
    return { outcome: 'failed', reply: refuseBuild(stage, { requestId, ...why }) };
  }
  const { status, envelope } = reply;
  const outcome = status === 200 || status === 408 ? 'answered' : 'refused';
  const isMoved = envelope.status === 'error' && envelope.reason === 'host_not_connected';
  return { outcome, reply: isMoved ? refuseBuild(stage, { requestId, ...movedAway(place) }) : reply };
}

/** Returns what a caller is told of a broker that did not answer. */
function unanswered(place: HostPlace, stage: BuildCall, error: unknown): Failure {
  if (error instanceof PeerError && error.isUnimplemented)
    return failure(
      'host_elsewhere',
      `host ${place.hostId} is connected to broker ${place.brokerId} (${place.address}), which is of an older version: ${askedFor[stage]} has to be asked of that broker`,
    );
  const doubt = stage === 'dispatch' ? '; the build may have been given to its host all the same' : '';
  return failure('peer_unreachable', `${heldBy(place)}, which ${errorMessage(error)}${doubt}`);
}
