import type { Transport } from './answer.ts';
import type { KeepableAnswer } from './keepable-answer.ts';
import { encodeReply, headerBytes, type Query, rcodes, udpLimit, uint16 } from './wire.ts';

const [authoritative, truncated] = [0x04, 0x02];

/** What the times to live of a kept answer are when it is given again, in s. */
export type TtlNow = (ttl: number) => number;

/**
 * An answer to the same question of somebody else, as an answer to this query: with its id, its name as it is spelled there,
 * and no longer than it may be.
 *
 * @param answer is copied
 * @param aged what there is to change of one that was kept
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
  // It is what we remember, not what the zone's own server says now.
  adapted[2] = (adapted[2] ?? 0) & ~authoritative;
  for (const at of aged.kept.ttlOffsets)
    adapted.writeUInt32BE(aged.ttlNow(Math.min(adapted.readUInt32BE(at), 0x7fff_ffff)), at);
  return adapted;
}

/** Nothing but that there is more: who asked comes again over TCP. */
function truncatedAnswer(answer: Buffer, query: Query): Buffer {
  const rcode = (answer[3] ?? 0) & 0x0f;
  const name = rcode === rcodes.NXDOMAIN ? 'NXDOMAIN' : 'NOERROR';
  const cut = encodeReply(query, { rcode: name, authoritative: false }, udpLimit(query));
  cut[2] = (cut[2] ?? 0) | truncated;
  return cut;
}
