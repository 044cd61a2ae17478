// DNS messages as bytes (RFC 1035, EDNS(0) RFC 6891): the question of a query and the answers that coold gives itself.
// Of its own because every in-zone answer passes here; what comes from upstream is handed on as it is.

export const rcodes = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const;
export type Rcode = keyof typeof rcodes;

export const types = { A: 1, SOA: 6, OPT: 41, IXFR: 251, AXFR: 252, ANY: 255 } as const;

const classIn = 1;
export const headerBytes = 12;
const maxNameBytes = 255;
/** Type, class, TTL and length of a record, behind its name. */
const recordFixedBytes = 10;
const addressRecordBytes = 16;
const optBytes = 11;
/** What a client without EDNS takes over UDP (RFC 1035). */
const plainUdpBytes = 512;
/** What we send and take over UDP at most, whatever a client advertises: enough, and no lever for amplification. */
const maxUdpBytes = 4096;

export interface Query {
  packet: Buffer;
  /** The name as it is on the wire, each label behind its length, in lower case; latin-1 text, so that it can be compared. */
  name: string;
  type: number;
  /** Where the question ends in the packet, in bytes. */
  questionEnd: number;
  edns: { udpBytes: number; dnssecOk: boolean } | undefined;
}

/** What came: a question to answer, one that is refused by its form alone, or nothing that deserves an answer. */
export type Received =
  | { kind: 'query'; query: Query }
  | { kind: 'refused'; rcode: Rcode; query: Query | undefined }
  | { kind: 'ignored' };

const ignored: Received = { kind: 'ignored' };
const malformed: Received = { kind: 'refused', rcode: 'FORMERR', query: undefined };
const notImplemented: Received = { kind: 'refused', rcode: 'NOTIMP', query: undefined };

/** Reads what came from a client. Never throws: any bytes may come. */
export function readQuery(packet: Buffer): Received {
  // An answer is never answered: two servers would keep each other busy for ever.
  if (packet.length < headerBytes || (byte(packet, 2) & 0x80) !== 0) return ignored;
  if ((byte(packet, 2) & 0x78) !== 0) return notImplemented;
  if (uint16(packet, 4) !== 1) return malformed;
  const nameEnd = endOfPlainName(packet, headerBytes);
  const questionEnd = nameEnd + 4;
  if (nameEnd < 0 || questionEnd > packet.length) return malformed;
  const query: Query = {
    packet,
    name: packet.toString('latin1', headerBytes, nameEnd).toLowerCase(),
    type: uint16(packet, nameEnd),
    questionEnd,
    edns: undefined,
  };
  const version = readEdns(query);
  if (version === undefined) return malformed;
  if (version > 0) return { kind: 'refused', rcode: 'BADVERS', query };
  if (uint16(packet, nameEnd + 2) !== classIn) return { kind: 'refused', rcode: 'REFUSED', query };
  // There is no zone to hand over, and the answer to a transfer is more than one message.
  if (query.type === types.AXFR || query.type === types.IXFR)
    return { kind: 'refused', rcode: 'REFUSED', query };
  return { kind: 'query', query };
}

/** Finds the OPT record, if there is one. @returns its version, 0 without; undefined: malformed */
function readEdns(query: Query): number | undefined {
  const { packet } = query;
  const before = uint16(packet, 6) + uint16(packet, 8);
  const count = before + uint16(packet, 10);
  let at = query.questionEnd;
  let version = 0;
  for (let index = 0; index < count; index += 1) {
    const fixed = skipName(packet, at);
    if (fixed < 0 || fixed + recordFixedBytes > packet.length) return undefined;
    if (index >= before && uint16(packet, fixed) === types.OPT) {
      if (query.edns !== undefined || fixed !== at + 1) return undefined;
      query.edns = { udpBytes: uint16(packet, fixed + 2), dnssecOk: (byte(packet, fixed + 6) & 0x80) !== 0 };
      version = byte(packet, fixed + 5);
    }
    at = fixed + recordFixedBytes + uint16(packet, fixed + 8);
    if (at > packet.length) return undefined;
  }
  return version;
}

/** @returns where a name ends that may not be compressed, being the first; -1: malformed */
function endOfPlainName(packet: Buffer, start: number): number {
  let at = start;
  while (at < packet.length) {
    const length = byte(packet, at);
    if (length > 63) return -1;
    at += length + 1;
    if (at - start > maxNameBytes) return -1;
    if (length === 0) return at;
  }
  return -1;
}

/** @returns what follows a name, compressed or not; -1: malformed */
export function skipName(packet: Buffer, start: number): number {
  let at = start;
  while (at < packet.length) {
    const length = byte(packet, at);
    if (length >= 0xc0) return at + 2;
    if (length > 63) return -1;
    at += length + 1;
    if (length === 0) return at;
  }
  return -1;
}

/** What a reply says beyond the question. */
export interface Reply {
  rcode: Rcode;
  authoritative: boolean;
  /** IPv4, each as a number; their order is not kept. */
  addresses?: Uint32Array;
  /** Seconds, of every record. */
  ttl?: number;
  /** The start of authority: for an answer without records, so that it is forgotten as soon (RFC 2308). */
  authority?: { zone: string; serial: number };
}

/** The most a reply to this query may measure over UDP, in bytes. */
export function udpLimit({ edns }: Query): number {
  if (edns === undefined) return plainUdpBytes;
  return Math.min(Math.max(edns.udpBytes, plainUdpBytes), maxUdpBytes);
}

/** A reply of at most `limit` bytes; as many addresses as fit, and truncated where that is not all. */
export function encodeReply(query: Query, reply: Reply, limit: number): Buffer {
  const { packet, questionEnd, edns } = query;
  const { addresses = noAddresses, authority, ttl = 0 } = reply;
  const code = rcodes[reply.rcode];
  const ednsBytes = edns === undefined ? 0 : optBytes;
  const soa = authority === undefined ? undefined : soaRecord(query, authority, ttl);
  const room = limit - questionEnd - ednsBytes;
  const count = Math.min(addresses.length, Math.floor(room / addressRecordBytes));
  const out = Buffer.allocUnsafe(questionEnd + count * addressRecordBytes + (soa?.length ?? 0) + ednsBytes);
  packet.copy(out, 0, 0, questionEnd);
  const truncated = count < addresses.length;
  out[2] = 0x80 | (reply.authoritative ? 0x04 : 0) | (truncated ? 0x02 : 0) | (byte(packet, 2) & 0x01);
  out[3] = 0x80 | (byte(packet, 3) & 0x10) | (code & 0x0f);
  out.writeUInt16BE(1, 4);
  out.writeUInt16BE(count, 6);
  out.writeUInt16BE(soa === undefined ? 0 : 1, 8);
  out.writeUInt16BE(edns === undefined ? 0 : 1, 10);
  let at = questionEnd;
  const order = addresses.length < 2 ? addresses : drawn(addresses, count);
  for (let index = 0; index < count; index += 1) at = writeAddress(out, at, order[index] ?? 0, ttl);
  if (soa !== undefined) {
    out.set(soa, at);
    at += soa.length;
  }
  if (edns !== undefined) writeOpt(out, at, code, edns.dnssecOk);
  return out;
}

/** The header alone: what is left to answer to a message whose question could not be read. */
export function encodeHeader(packet: Buffer, rcode: Rcode): Buffer {
  const out = Buffer.alloc(headerBytes);
  packet.copy(out, 0, 0, 3);
  out[2] = 0x80 | (byte(packet, 2) & 0x79);
  out[3] = 0x80 | (rcodes[rcode] & 0x0f);
  return out;
}

const noAddresses = new Uint32Array(0);

/** A copy whose first `count` are drawn at random: replicas share the load, and a truncated answer favours none. */
function drawn(addresses: Uint32Array, count: number): Uint32Array {
  const order = addresses.slice();
  for (let index = 0; index < count; index += 1) {
    const other = index + Math.floor(Math.random() * (order.length - index));
    const address = order[other] ?? 0;
    order[other] = order[index] ?? 0;
    order[index] = address;
  }
  return order;
}

/** A record whose name is the question's. */
function writeAddress(out: Buffer, at: number, address: number, ttl: number): number {
  out.writeUInt16BE(0xc000 | headerBytes, at);
  out.writeUInt16BE(types.A, at + 2);
  out.writeUInt16BE(classIn, at + 4);
  out.writeUInt32BE(ttl, at + 6);
  out.writeUInt16BE(4, at + 10);
  out.writeUInt32BE(address, at + 12);
  return at + addressRecordBytes;
}

/** The question's name ends in the zone's, so the record points there for its own. */
function soaRecord(query: Query, authority: { zone: string; serial: number }, ttl: number): Buffer {
  const apex = 0xc000 | (headerBytes + query.name.length - authority.zone.length);
  const hostmaster = Buffer.from('\x0ahostmaster\0\0', 'latin1');
  hostmaster.writeUInt16BE(apex, hostmaster.length - 2);
  const fixed = Buffer.alloc(2 + recordFixedBytes + 2);
  fixed.writeUInt16BE(apex, 0);
  fixed.writeUInt16BE(types.SOA, 2);
  fixed.writeUInt16BE(classIn, 4);
  fixed.writeUInt32BE(ttl, 6);
  fixed.writeUInt16BE(2 + hostmaster.length + 20, 10);
  fixed.writeUInt16BE(apex, 12);
  const numbers = Buffer.alloc(20);
  // Refresh, retry and expire are for secondaries, and there are none. The last is for how long "no" holds.
  for (const [index, number] of [authority.serial, 3600, 600, 86_400, ttl].entries())
    numbers.writeUInt32BE(number, index * 4);
  return Buffer.concat([fixed, hostmaster, numbers]);
}

function writeOpt(out: Buffer, at: number, code: number, dnssecOk: boolean): void {
  out[at] = 0;
  out.writeUInt16BE(types.OPT, at + 1);
  out.writeUInt16BE(maxUdpBytes, at + 3);
  out[at + 5] = code >> 4;
  out[at + 6] = 0;
  out[at + 7] = dnssecOk ? 0x80 : 0;
  out[at + 8] = 0;
  out.writeUInt16BE(0, at + 9);
}

export function byte(packet: Buffer, at: number): number {
  return packet[at] ?? 0;
}

export function uint16(packet: Buffer, at: number): number {
  return (byte(packet, at) << 8) | byte(packet, at + 1);
}
