import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { BuildAskSchema, peerBuildPath } from '@coold/proto';
import { askPeer, type PeerQuestion } from '../link/ask-peer.ts';
import type { PeerLinks } from '../link/peer-links.ts';
import type { PeerPlace } from '../membership/peer-places.ts';

/** What one broker asks another about a build. */
export type BuildQuestion = NonNullable<MessageInitShape<typeof BuildAskSchema>['ask']>;

/** Asks other brokers about builds, one call of BrokerPeer.Build for each question. */
export interface BuildAsker {
  /**
   * Asks one broker. A question for a result leaves the call open for `confirmTaken`.
   *
   * @param timeoutMs how long the answer may take
   * @throws PeerError when the broker is asked too much already
   */
  ask(peer: PeerPlace, requestId: string, question: BuildQuestion, timeoutMs: number): PeerQuestion;
  /** Says on the call of a result that its caller has read it. */
  confirmTaken(asked: PeerQuestion, peer: PeerPlace, requestId: string): void;
}

/** @param brokerId the id of this broker */
export function createBuildAsker(brokerId: string, links: Pick<PeerLinks, 'to'>): BuildAsker {
  const write = (toBrokerId: string, requestId: string, ask: BuildQuestion) =>
    toBinary(BuildAskSchema, create(BuildAskSchema, { fromBrokerId: brokerId, toBrokerId, requestId, ask }));
  return {
    ask(peer, requestId, question, timeoutMs) {
      const bytes = write(peer.brokerId, requestId, question);
      return askPeer(links.to(peer), peerBuildPath, bytes, {
        timeoutMs,
        keepOpen: question.case === 'result',
      });
    },
    confirmTaken: (asked, peer, requestId) =>
      asked.say(write(peer.brokerId, requestId, { case: 'taken', value: {} })),
  };
}
