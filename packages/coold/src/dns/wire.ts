// DNS messages as bytes (RFC 1035, EDNS(0) RFC 6891): a query's question, and the answers that coold gives itself. Our
// own codec, because every in-zone answer passes here; upstream answers are passed on unparsed.

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

export const types = { A: 1, NS: 2, SOA: 6, PTR: 12, OPT: 41, IXFR: 251, AXFR: 252, ANY: 255 } as const;

const classIn = 1;
export const headerBytes = 12;
const maxNameBytes = 255;
/** The bytes of type, class, TTL and length of a record, after its name. */
const recordFixedBytes = 10;
const addressRecordBytes = 16;
const optBytes = 11;
/** What a client without EDNS accepts over UDP (RFC 1035). */
export const plainUdpBytes = 512;
/** The most we send and accept over UDP, whatever a client advertises: enough, and not useful for amplification. */
const maxUdpBytes = 4096;

export interface Query {
  packet: Buffer;
  /** The name on the wire in lower case, each label after its length, as latin-1 text that can be compared. */
  name: string;
  type: number;
  /** The offset of the end of the question in the packet, in bytes. */
  questionEnd: number;
  edns: { udpBytes: number; dnssecOk: boolean } | undefined;
}

/** A parsed message: a question to answer, one that is refused for its form, or nothing that deserves an answer. */
export type Received =
  | { kind: 'query'; query: Query }
  | { kind: 'refused'; rcode: Rcode; query: Query | undefined }
  | { kind: 'ignored' };

const ignored: Received = { kind: 'ignored' };
const malformed: Received = { kind: 'refused', rcode: 'FORMERR', query: undefined };
const notImplemented: Received = { kind: 'refused', rcode: 'NOTIMP', query: undefined };

/** Parses a message from a client. Never throws, whatever the bytes. */
export function readQuery(packet: Buffer): Received {
  // A response is never answered: two servers would keep each other busy for ever.
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
  // Zone transfers are refused: there is no zone to transfer, and the answer would be more than one message.
  if (query.type === types.AXFR || query.type === types.IXFR)
    return { kind: 'refused', rcode: 'REFUSED', query };
  return { kind: 'query', query };
}

/** Finds the OPT record. @returns its version, 0 without one; undefined when malformed */
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

/** @returns the end of an uncompressed name, which a question has to be; -1 when malformed */
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

/** @returns the offset after a name, compressed or not; -1 when malformed */
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

export interface RecordData {
  type: number;
  data: Buffer;
}

/** The content of a reply besides the question. */
export interface Reply {
  rcode: Rcode;
  authoritative: boolean;
  /** IPv4 addresses as numbers, in no fixed order. */
  addresses?: Uint32Array;
  /** Other records with the question's name: few, and either all or none are sent. */
  records?: readonly RecordData[];
  /** The TTL of every record, in seconds. */
  ttl?: number;
  /** The SOA record for an answer without records, which limits how long it is cached (RFC 2308). */
  authority?: Authority;
}

export interface Authority {
  /** The zone's name on the wire. */
  zone: string;
  serial: number;
}

/** Returns the most bytes that a reply to this query may have over UDP. */
export function udpLimit({ edns }: Query): number {
  if (edns === undefined) return plainUdpBytes;
  return Math.min(Math.max(edns.udpBytes, plainUdpBytes), maxUdpBytes);
}

/** Encodes a reply of at most `limit` bytes, with as many addresses as fit, truncated when some do not. */
export function encodeReply(query: Query, reply: Reply, limit: number): Buffer {
  const { packet, questionEnd, edns } = query;
  const { addresses = noAddresses, records, authority, ttl = 0 } = reply;
  const code = rcodes[reply.rcode];
  const ednsBytes = edns === undefined ? 0 : optBytes;
  const soa = authority === undefined ? undefined : soaRecord(query, authority, ttl);
  const room = limit - questionEnd - ednsBytes;
  const wanted =
    records === undefined ? undefined : Buffer.concat(records.map(record => encodeRecord(record, ttl)));
  const more = wanted !== undefined && wanted.length <= room ? wanted : undefined;
  const count = Math.min(addresses.length, Math.floor((room - (more?.length ?? 0)) / addressRecordBytes));
  const out = Buffer.allocUnsafe(
    questionEnd + count * addressRecordBytes + (more?.length ?? 0) + (soa?.length ?? 0) + ednsBytes,
  );
  packet.copy(out, 0, 0, questionEnd);
  const truncated = count < addresses.length || wanted !== more;
  out[2] = 0x80 | (reply.authoritative ? 0x04 : 0) | (truncated ? 0x02 : 0) | (byte(packet, 2) & 0x01);
  out[3] = 0x80 | (byte(packet, 3) & 0x10) | (code & 0x0f);
  out.writeUInt16BE(1, 4);
  out.writeUInt16BE(count + (more === undefined ? 0 : (records?.length ?? 0)), 6);
  out.writeUInt16BE(soa === undefined ? 0 : 1, 8);
  out.writeUInt16BE(edns === undefined ? 0 : 1, 10);
  let at = questionEnd;
  const order = addresses.length < 2 ? addresses : drawn(addresses, count);
  for (let index = 0; index < count; index += 1) at = writeAddress(out, at, order[index] ?? 0, ttl);
  if (more !== undefined) {
    out.set(more, at);
    at += more.length;
  }
  if (soa !== undefined) {
    out.set(soa, at);
    at += soa.length;
  }
  if (edns !== undefined) writeOpt(out, at, code, edns.dnssecOk);
  return out;
}

/** Encodes only a header, for a message whose question could not be parsed. */
export function encodeHeader(packet: Buffer, rcode: Rcode): Buffer {
  const out = Buffer.alloc(headerBytes);
  packet.copy(out, 0, 0, 3);
  out[2] = 0x80 | (byte(packet, 2) & 0x79);
  out[3] = 0x80 | (rcodes[rcode] & 0x0f);
  return out;
}

const noAddresses = new Uint32Array(0);

/**
 * Returns a copy whose first `count` are drawn at random: replicas share the load, and a truncated answer favours none.
 */
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

/** Writes a record with the question's name. */
function writeAddress(out: Buffer, at: number, address: number, ttl: number): number {
  out.writeUInt16BE(0xc000 | headerBytes, at);
  out.writeUInt16BE(types.A, at + 2);
  out.writeUInt16BE(classIn, at + 4);
  out.writeUInt32BE(ttl, at + 6);
  out.writeUInt16BE(4, at + 10);
  out.writeUInt32BE(address, at + 12);
  return at + addressRecordBytes;
}

/** Encodes a record with the question's name. */
function encodeRecord({ type, data }: RecordData, ttl: number, name = headerBytes): Buffer {
  const fixed = Buffer.alloc(2 + recordFixedBytes);
  fixed.writeUInt16BE(0xc000 | name, 0);
  fixed.writeUInt16BE(type, 2);
  fixed.writeUInt16BE(classIn, 4);
  fixed.writeUInt32BE(ttl, 6);
  fixed.writeUInt16BE(data.length, 10);
  return Buffer.concat([fixed, data]);
}

/** The question's name ends with the zone's name, so the record points into it. */
function soaRecord(query: Query, authority: Authority, ttl: number): Buffer {
  return encodeRecord(soaData(query, authority, ttl), ttl, zoneAt(query, authority));
}

/** Returns where the zone's name begins in the question. */
function zoneAt({ name }: Query, { zone }: Authority): number {
  return headerBytes + name.length - zone.length;
}

/** Returns the SOA data of the zone of the question's name. @param ttl how long a negative answer holds, in s */
export function soaData(query: Query, authority: Authority, ttl: number): RecordData {
  const data = Buffer.alloc(2 + 13 + 20);
  const zone = 0xc000 | zoneAt(query, authority);
  data.writeUInt16BE(zone, 0);
  data.write('\x0ahostmaster', 2, 'latin1');
  data.writeUInt16BE(zone, 13);
  // Refresh, retry and expire are for secondary servers, and there are none.
  for (const [index, number] of [authority.serial, 3600, 600, 86_400, ttl].entries())
    data.writeUInt32BE(number, 15 + index * 4);
  return { type: types.SOA, data };
}

/** Returns the NS data of the zone of the question's name. The server's name is the zone's. */
export function nsData(query: Query, authority: Authority): RecordData {
  const data = Buffer.alloc(2);
  data.writeUInt16BE(0xc000 | zoneAt(query, authority));
  return { type: types.NS, data };
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
