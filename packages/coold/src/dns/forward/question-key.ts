import { byte, type Query, uint16 } from '../wire.ts';

const recursionDesired = 0x01;
/** The reserved bit of the header. */
const reserved = 0x40;
/** Query bits that ask for DNSSEC records or for unvalidated answers. They change the answer. */
const [authenticData, checkingDisabled] = [0x20, 0x10];
const optBytes = 11;
/** Types from here on are for questions, such as ANY, or for messages, such as TSIG. */
const firstMetaType = 128;
const optType = 41;

/**
 * Returns the same text for questions with the same answer: name, type and each bit that affects the answer. The class
 * is IN for every query that is read.
 *
 * @returns undefined when the answer must not be shared, as with EDNS options such as a cookie or a client's subnet
 */
export function questionKey(query: Query): string | undefined {
  const { packet, questionEnd, edns, name, type } = query;
  if (type >= firstMetaType || type === optType || type === 0) return undefined;
  if ((byte(packet, 2) & recursionDesired) === 0 || (byte(packet, 3) & reserved) !== 0) return undefined;
  // With options or signatures, the packet is longer.
  if (packet.length !== questionEnd + (edns === undefined ? 0 : optBytes)) return undefined;
  let bits = byte(packet, 3) & (authenticData | checkingDisabled);
  if (edns !== undefined) {
    // The upper bits of the code and the version, then flags of which only the first is known.
    if (uint16(packet, questionEnd + 5) !== 0 || (uint16(packet, questionEnd + 7) & 0x7fff) !== 0)
      return undefined;
    bits |= edns.dnssecOk ? 3 : 1;
  }
  return name + String.fromCharCode(type, bits);
}
