import { type AnswerPacket, encodeFailure, type Transport } from './answer.ts';
import type { Asking } from './asking.ts';
import { count, type QueryCounts } from './counts.ts';
import type { Forwarder } from './forwarder.ts';
import { byte, type Query, rcodes } from './wire.ts';

/** Where a message came from. */
export interface Peer {
  /** IPv4, as a number; 0: another. */
  address: number;
  port: number;
}

/**
 * Answers one message: at once what the zone tells or the message's form forbids, later what the upstream has to be asked.
 * No promise: each would be a good part of what a question outside the zone costs.
 *
 * @param packet is the caller's again once this returns
 * @param reply is called once; undefined: it gets no answer
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
  isOwn: Forwarder['isOwn'],
  counts: QueryCounts,
): ServeQuery {
  function forward(query: Query, transport: Transport, peer: Peer, reply: (answer: Buffer) => void): void {
    const done = (answer: Buffer) => {
      count(counts, byte(answer, 3) & 0x0f);
      reply(answer);
    };
    // Our own query come back: answered, so that whoever asked first is not left waiting either.
    if (transport === 'udp' && isOwn(peer.address, peer.port)) done(encodeFailure(query, 'SERVFAIL'));
    else asking.ask(query, transport, peer.address, done);
  }

  const serve: ServeQuery = (packet, transport, peer, reply) => {
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
          if (isKnown) serve(kept, transport, peer, reply);
          else reply(undefined);
        });
        return;
      }
      case 'reply':
        if (!answer.isSelfQuery) count(counts, rcodes[answer.rcode]);
        reply(answer.packet);
    }
  };
  return serve;
}
