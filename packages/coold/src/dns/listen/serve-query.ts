import { count, type QueryCounts } from '../counts.ts';
import type { Asking } from '../forward/asking.ts';
import type { Forwarder } from '../forward/forwarder.ts';
import { byte, type Query, rcodes } from '../wire.ts';
import { type AnswerPacket, encodeFailure, type Transport } from '../zone/answer.ts';
import type { ZoneTimes } from '../zone-times.ts';

/** Where a message came from. */
export interface Peer {
  /** IPv4 as a number; 0 for others. */
  address: number;
  port: number;
}

/**
 * Answers one message: at once from the zone or for a malformed message, later when the upstream has to be asked. Uses
 * no promise, which would be a good part of what a question outside the zone costs.
 *
 * @param packet belongs to the caller again once this returns
 * @param reply is called once; undefined when there is no answer
 */
export type ServeQuery = (
  packet: Buffer,
  transport: Transport,
  peer: Peer,
  reply: (answer: Buffer | undefined) => void,
) => void;

export function createServeQuery(
  answerPacket: AnswerPacket,
  asking: Asking,
  forwarder: Pick<Forwarder, 'isOwn'>,
  counts: QueryCounts,
  times?: ZoneTimes,
): ServeQuery {
  function forward(query: Query, transport: Transport, peer: Peer, reply: (answer: Buffer) => void): void {
    const done = (answer: Buffer) => {
      count(counts, byte(answer, 3) & 0x0f);
      reply(answer);
    };
    // Our own query came back in a loop. It is answered, so that its first client does not wait either.
    if (transport === 'udp' && forwarder.isOwn(peer.address, peer.port))
      done(encodeFailure(query, 'SERVFAIL'));
    else asking.ask(query, transport, peer.address, done);
  }

  const serve: ServeQuery = (packet, transport, peer, reply) => {
    const beganAt = times?.begin() ?? 0;
    const answer = answerPacket(packet, transport);
    switch (answer.kind) {
      case 'ignored':
        reply(undefined);
        return;
      case 'forward':
        forward(answer.query, transport, peer, reply);
        return;
      case 'later': {
        const kept = Buffer.from(packet);
        void answer.known.then(isKnown => {
          if (beganAt > 0) times?.took(beganAt);
          if (isKnown) serve(kept, transport, peer, reply);
          else reply(undefined);
        });
        return;
      }
      case 'reply':
        if (!answer.isSelfQuery) count(counts, rcodes[answer.rcode]);
        reply(answer.packet);
        if (beganAt > 0) times?.took(beganAt);
    }
  };
  return serve;
}
