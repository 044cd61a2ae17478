import { encodeReply, headerBytes, plainUdpBytes, type Query, rcodes, udpLimit, uint16 } from '../wire.ts';
import type { Transport } from '../zone/answer.ts';
import type { KeepableAnswer } from './keepable-answer.ts';

const [authoritative, truncated] = [0x04, 0x02];

/** Maps a TTL of a cached answer to the TTL to send, in s. */
export type TtlNow = (ttl: number) => number;

/**
 * Adapts an answer for another client that asked the same question: its id, its spelling of the name, and its size
 * limit.
 *
 * @param answer is copied
 * @param aged how to adjust a cached answer
 */
export function adaptAnswer(
  answer: Buffer,
  query: Query,
  transport: Transport,
  aged?: { kept: KeepableAnswer; ttlNow: TtlNow },
): Buffer {
  if (transport === 'udp' && answer.length > udpLimit(query)) return truncatedAnswer(answer, query);
  const { packet, questionEnd } = query;
  const adapted = Buffer.from(answer);
  packet.copy(adapted, 0, 0, 2);
  if (answer.length >= questionEnd && uint16(answer, 4) === 1)
    packet.copy(adapted, headerBytes, headerBytes, questionEnd);
  if (aged === undefined) return adapted;
  // The answer comes from our cache, not from the zone's own server.
  adapted[2] = (adapted[2] ?? 0) & ~authoritative;
  for (const at of aged.kept.ttlOffsets)
    adapted.writeUInt32BE(aged.ttlNow(Math.min(adapted.readUInt32BE(at), 0x7fff_ffff)), at);
  return adapted;
}

/**
 * Fits an answer for the client whose query was forwarded. When the upstream sent more over UDP than the client
 * accepts, the result is truncated.
 */
export function fitAnswer(answer: Buffer, query: Query, transport: Transport): Buffer {
  const taken = Math.max(query.edns?.udpBytes ?? 0, plainUdpBytes);
  return transport === 'udp' && answer.length > taken ? truncatedAnswer(answer, query) : answer;
}

/** Returns a truncated answer without records, so that the client asks again over TCP. */
function truncatedAnswer(answer: Buffer, query: Query): Buffer {
  const rcode = (answer[3] ?? 0) & 0x0f;
  const name = rcode === rcodes.NXDOMAIN ? 'NXDOMAIN' : 'NOERROR';
  const cut = encodeReply(query, { rcode: name, authoritative: false }, udpLimit(query));
  cut[2] = (cut[2] ?? 0) | truncated;
  return cut;
}
