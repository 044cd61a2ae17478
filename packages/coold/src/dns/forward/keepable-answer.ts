import { byte, headerBytes, rcodes, skipName, types, uint16 } from '../wire.ts';

/** An answer that may be cached. */
export interface KeepableAnswer {
  /** How long, in s. */
  ttl: number;
  /** The offsets of the TTLs that count down, in bytes. */
  ttlOffsets: Uint32Array;
  /** Whether it says that the name, or a record of the type, does not exist. */
  isNegative: boolean;
  isNoSuchName: boolean;
}

/** A day, in s. Longer TTLs are seldom meant (RFC 8767 §4 also caps them). */
const maxTtl = 86_400;
/** RFC 2308 §5 recommends one to three hours, in s. */
const maxNegativeTtl = 3600;
const [authorityCountAt, answerCountAt] = [8, 6];
/** The bytes of type, class, TTL and length of a record, after its name. */
const recordFixedBytes = 10;
const classIn = 1;

/**
 * Reads for how long an answer may be kept: until the first of its records runs out (RFC 1034 §4.3.2), or, where it says that
 * there is none, for as long as its start of authority says (RFC 2308 §5). No other may be kept: none that is truncated, that
 * refuses or fails, that refers elsewhere or that makes no sense. "No such name" is kept for the question that was asked alone:
 * what lies below, as RFC 8020 would allow, is asked for all the same, since not every server means it so.
 *
 * @param hasEdns whether the question had
 */
export function readKeepable(
  answer: Buffer,
  questionEnd: number,
  type: number,
  hasEdns: boolean,
): KeepableAnswer | undefined {
  const rcode = byte(answer, 3) & 0x0f;
  if (answer.length < questionEnd || uint16(answer, 4) !== 1 || (byte(answer, 2) & 0x02) !== 0)
    return undefined;
  if (rcode !== rcodes.NOERROR && rcode !== rcodes.NXDOMAIN) return undefined;
  const answers = uint16(answer, answerCountAt);
  const authorities = answers + uint16(answer, authorityCountAt);
  const count = authorities + uint16(answer, 10);
  const offsets: number[] = [];
  let ttl = maxTtl;
  let isAnswered = false;
  let negativeTtl: number | undefined;
  let isOptSeen = false;
  let at = questionEnd;
  for (let index = 0; index < count; index += 1) {
    const fixed = skipName(answer, at);
    if (fixed < 0 || fixed + recordFixedBytes > answer.length) return undefined;
    const recordType = uint16(answer, fixed);
    const end = fixed + recordFixedBytes + uint16(answer, fixed + 8);
    if (end > answer.length) return undefined;
    at = end;
    if (recordType === types.OPT) {
      // When another response code follows, the header's code alone has no meaning.
      if (!hasEdns || isOptSeen || byte(answer, fixed + 4) !== 0) return undefined;
      isOptSeen = true;
      continue;
    }
    if (uint16(answer, fixed + 2) !== classIn) return undefined;
    const recordTtl = readTtl(answer, fixed + 4);
    offsets.push(fixed + 4);
    ttl = Math.min(ttl, recordTtl);
    if (index < answers && recordType === type) isAnswered = true;
    if (index >= answers && index < authorities && recordType === types.SOA) {
      if (end - fixed - recordFixedBytes < 20) return undefined;
      negativeTtl = Math.min(recordTtl, readTtl(answer, end - 4), maxNegativeTtl);
    }
  }
  if (at !== answer.length || headerBytes + 5 > questionEnd) return undefined;
  const isNoSuchName = rcode === rcodes.NXDOMAIN;
  const isNegative = isNoSuchName || !isAnswered;
  if (isNegative) {
    if (negativeTtl === undefined) return undefined;
    ttl = Math.min(ttl, negativeTtl);
  }
  if (ttl === 0) return undefined;
  return { ttl, ttlOffsets: Uint32Array.from(offsets), isNegative, isNoSuchName };
}

/** RFC 2181 §8: a TTL with the highest bit set counts as 0. */
function readTtl(message: Buffer, at: number): number {
  const ttl = message.readUInt32BE(at);
  return ttl > 0x7fff_ffff ? 0 : ttl;
}
