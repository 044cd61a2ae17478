import { byte, headerBytes, rcodes, skipName, uint16 } from '../wire.ts';

/** Returns a copy of a message with another id. */
export function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}

/** Whether a message answers a query: same id, response bit, same question in any letter case. */
export function answers(message: Buffer, query: Buffer): boolean {
  if (message.length < headerBytes || uint16(message, 0) !== uint16(query, 0)) return false;
  if ((byte(message, 2) & 0xf8) !== (0x80 | (byte(query, 2) & 0x78))) return false;
  const rcode = byte(message, 3) & 0x0f;
  // Some servers refuse with only the header.
  if (uint16(message, 4) === 0)
    return message.length === headerBytes && rcode !== rcodes.NOERROR && rcode !== rcodes.NXDOMAIN;
  const end = skipName(query, headerBytes) + 4;
  if (uint16(message, 4) !== 1 || message.length < end) return false;
  // Nearly all answers repeat the question byte for byte.
  let at = headerBytes;
  while (at < end && message[at] === query[at]) at += 1;
  if (at === end) return true;
  return (
    message.toString('latin1', headerBytes, end - 4).toLowerCase() ===
      query.toString('latin1', headerBytes, end - 4).toLowerCase() &&
    message.subarray(end - 4, end).equals(query.subarray(end - 4, end))
  );
}

/** Whether an answer says that the server cannot or will not answer, so that another one may. */
export function isRefusal(message: Buffer): boolean {
  const rcode = byte(message, 3) & 0x0f;
  return rcode === rcodes.SERVFAIL || rcode === rcodes.REFUSED || rcode === rcodes.NOTIMP;
}

/** Whether a message is truncated. */
export function isTruncated(message: Buffer): boolean {
  return (byte(message, 2) & 0x02) !== 0;
}
