// Encodes and decodes netlink messages: headers in the machine's byte order (little-endian on every supported machine),
// numbers inside nf_tables attributes in network order. Pure.

const headerBytes = 16;
const attributeHeaderBytes = 4;
/** The two highest bits of an attribute's type describe its encoding. */
const typeMask = 0x3fff;
const nestedBit = 0x8000;

export const netlinkFlags = { request: 1, dump: 0x300, interrupted: 0x10 } as const;
export const netlinkTypes = { error: 2, done: 3 } as const;

/** A message without the header that every message has. */
export interface NetlinkMessage {
  type: number;
  flags: number;
  sequence: number;
  /** The header of its kind and the attributes; in an error, the errno and the request it is about. */
  body: Buffer;
}

/** The length of the header of an nf_tables message, which begins with the family. */
export const nfTablesHead = 4;

export function headOf(family: number): Buffer {
  return Buffer.from([family, 0, 0, 0]);
}

/** Encodes an attribute that holds a text. */
export function textAttribute(type: number, text: string): Buffer {
  return attribute(type, Buffer.from(`${text}\0`, 'latin1'));
}

/** Encodes an attribute that holds a 64-bit number, such as a handle. */
export function handleAttribute(type: number, handle: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(handle));
  return attribute(type, bytes);
}

/** Encodes an attribute that holds a 32-bit number. */
export function numberAttribute(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return attribute(type, bytes);
}

export function nestedAttribute(type: number, ...inside: readonly Buffer[]): Buffer {
  return attribute(type | nestedBit, Buffer.concat(inside));
}

export function attribute(type: number, value: Uint8Array): Buffer {
  const bytes = Buffer.alloc(aligned(attributeHeaderBytes + value.length));
  bytes.writeUInt16LE(attributeHeaderBytes + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(value, attributeHeaderBytes);
  return bytes;
}

/** Encodes a request as one datagram. */
export function encodeRequest(
  { type, flags, sequence }: Omit<NetlinkMessage, 'body'>,
  parts: readonly Buffer[],
): Buffer {
  const body = Buffer.concat(parts);
  const message = Buffer.alloc(headerBytes + body.length);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt16LE(flags, 6);
  message.writeUInt32LE(sequence, 8);
  message.set(body, headerBytes);
  return message;
}

/** Decodes the messages of a datagram. @throws Error when it is cut off */
export function decodeMessages(datagram: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at + headerBytes <= datagram.length; ) {
    const length = datagram.readUInt32LE(at);
    if (length < headerBytes || at + length > datagram.length)
      throw new Error('a message of netlink is cut off');
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      body: datagram.subarray(at + headerBytes, at + length),
    });
    at += aligned(length);
  }
  return messages;
}

/** Calls back with the type of each attribute and the offsets of its value. */
export function eachAttribute(
  bytes: Buffer,
  begin: number,
  end: number,
  take: (type: number, from: number, to: number) => void,
): void {
  for (let at = begin; at + attributeHeaderBytes <= end; ) {
    const length = bytes.readUInt16LE(at);
    if (length < attributeHeaderBytes || at + length > end) return;
    take(bytes.readUInt16LE(at + 2) & typeMask, at + attributeHeaderBytes, at + length);
    at += aligned(length);
  }
}

/** Returns the attributes by type. */
export function attributesOf(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  eachAttribute(bytes, 0, bytes.length, (type, from, to) => found.set(type, bytes.subarray(from, to)));
  return found;
}

/** Returns the attributes in order. */
export function listOf(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  eachAttribute(bytes, 0, bytes.length, (_, from, to) => found.push(bytes.subarray(from, to)));
  return found;
}

/** Decodes a text up to its first NUL. */
export function textOf(bytes: Buffer | undefined): string {
  if (bytes === undefined) return '';
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end === -1 ? bytes.length : end);
}

export function numberOf(bytes: Buffer | undefined): number | undefined {
  return bytes === undefined || bytes.length < 4 ? undefined : bytes.readUInt32BE(0);
}

const aligned = (length: number) => (length + 3) & ~3;
