import { type AnswerPacket, encodeFailure, type Transport } from './answer.ts';
import { count, type QueryCounts } from './counts.ts';
import type { Forwarder } from './forwarder.ts';
import { byte, type Query, rcodes } from './wire.ts';

/** Where a message came from. */
export interface Peer {
  address: string;
  port: number;
}

/**
 * Answers one message: at once what the zone tells or the message's form forbids, later what the upstream has to be asked.
 *
 * @returns undefined: it gets no answer. A promise never rejects.
 */
export type ServeQuery = (
  packet: Buffer,
  transport: Transport,
  peer: Peer,
) => Buffer | undefined | Promise<Buffer | undefined>;

export function createServeQuery(
  answerPacket: AnswerPacket,
  forwarder: Pick<Forwarder, 'ask' | 'isOwn'>,
  counts: QueryCounts,
): ServeQuery {
  async function forward(query: Query, transport: Transport, peer: Peer): Promise<Buffer> {
    // Our own query come back: answered, so that whoever asked first is not left waiting either.
    const isLoop = transport === 'udp' && forwarder.isOwn(peer.address, peer.port);
    const answer = isLoop ? undefined : await forwarder.ask(query.packet, transport);
    const reply = answer ?? encodeFailure(query, 'SERVFAIL');
    count(counts, byte(reply, 3) & 0x0f);
    return reply;
  }

  const serve: ServeQuery = (packet, transport, peer) => {
    const answer = answerPacket(packet, transport);
    switch (answer.kind) {
      case 'ignored':
        return undefined;
      case 'forward':
        return forward(answer.query, transport, peer);
      case 'later':
        return answer.known.then(isKnown => (isKnown ? serve(packet, transport, peer) : undefined));
      case 'reply':
        if (!answer.isSelfQuery) count(counts, rcodes[answer.rcode]);
        return answer.packet;
    }
  };
  return serve;
}
