import { byte, type Query, uint16 } from './wire.ts';

const recursionDesired = 0x01;
/** The reserved bit of the header. */
const reserved = 0x40;
/** Whoever asks knows of DNSSEC, or wants what failed its check: the answer differs by them. */
const [authenticData, checkingDisabled] = [0x20, 0x10];
const optBytes = 11;
/** From here on, types are of questions alone, such as ANY, or of messages, such as TSIG. */
const firstMetaType = 128;
const optType = 41;

/**
 * What questions have in common that have the same answer: name, type and each bit that an answer depends on. Of the class IN,
 * as every query that is read.
 *
 * @returns undefined: it has an answer of its own, as one with options of EDNS, such as a cookie or a client's subnet
 */
export function questionKey(query: Query): string | undefined {
  const { packet, questionEnd, edns, name, type } = query;
  if (type >= firstMetaType || type === optType || type === 0) return undefined;
  if ((byte(packet, 2) & recursionDesired) === 0 || (byte(packet, 3) & reserved) !== 0) return undefined;
  // With options, or with records that are signatures, it is longer.
  if (packet.length !== questionEnd + (edns === undefined ? 0 : optBytes)) return undefined;
  let bits = byte(packet, 3) & (authenticData | checkingDisabled);
  if (edns !== undefined) {
    // The code's upper bits and the version, then flags of which we know only the first.
    if (uint16(packet, questionEnd + 5) !== 0 || (uint16(packet, questionEnd + 7) & 0x7fff) !== 0)
      return undefined;
    bits |= edns.dnssecOk ? 3 : 1;
  }
  return name + String.fromCharCode(type, bits);
}
