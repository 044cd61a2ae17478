// What recvmmsg and sendmmsg read and write: for each datagram a `struct mmsghdr`, which points to a `struct iovec`, which
// points to its bytes, and to a `struct sockaddr_in`. Of 64-bit little-endian Linux. All of it is one piece of memory, so that
// what C points to lives for as long as any view of it.

/** Datagrams that one call takes at most. */
export const batchSize = 32;
/** More than UDP can carry, so that none is cut; untouched pages cost nothing. */
const messageBytes = 65_536;
/** As much as we send over UDP (EDNS(0)); what is longer goes another way. */
const replyBytes = 4096;
const headerBytes = 64;
const vectorBytes = 16;
export const addressBytes = 16;
export const familyInet = 2;

export interface DatagramVectors {
  /** Where the headers of what is received begin, and of what is sent. */
  received: bigint;
  /** @param index of the first that is meant */
  replies(index: number): bigint;
  /** What came as the index-th: overwritten by what comes next. */
  message(index: number): Buffer;
  port(index: number): number;
  address(index: number): string;
  /** Makes the index-th reply one to whom the message came from. @returns false: it is too long */
  putReply(index: number, to: number, reply: Buffer): boolean;
  reply(index: number): { bytes: Buffer; port: number; address: string };
}

/** @param addressOf says where memory is, for as long as it is referenced */
export function createDatagramVectors(addressOf: (memory: ArrayBuffer) => bigint): DatagramVectors {
  let bytes = 0;
  const region = (each: number) => {
    const at = bytes;
    bytes += each * batchSize;
    return at;
  };
  const [received, sent] = [region(headerBytes), region(headerBytes)];
  const [from, to] = [region(addressBytes), region(addressBytes)];
  const [into, outOf] = [region(vectorBytes), region(vectorBytes)];
  const [replies, messages] = [region(replyBytes), region(messageBytes)];
  const memory = new ArrayBuffer(bytes);
  const base = addressOf(memory);
  const view = new DataView(memory);
  const all = Buffer.from(memory);
  const words = new Uint32Array(memory);

  function point(at: number, target: number): void {
    view.setBigUint64(at, base + BigInt(target), true);
  }
  function lay(header: number, address: number, vector: number, content: number, length: number): void {
    point(header, address);
    view.setUint32(header + 8, addressBytes, true);
    point(header + 16, vector);
    view.setBigUint64(header + 24, 1n, true);
    point(vector, content);
    view.setBigUint64(vector + 8, BigInt(length), true);
  }
  for (let i = 0; i < batchSize; i += 1) {
    const [name, vector] = [i * addressBytes, i * vectorBytes];
    lay(received + i * headerBytes, from + name, into + vector, messages + i * messageBytes, messageBytes);
    lay(sent + i * headerBytes, to + name, outOf + vector, replies + i * replyBytes, 0);
  }

  const port = (at: number) => view.getUint16(at + 2);
  const address = (at: number) => `${all[at + 4]}.${all[at + 5]}.${all[at + 6]}.${all[at + 7]}`;
  const word = (at: number) => words[at / 4] ?? 0;
  return {
    received: base + BigInt(received),
    replies: index => base + BigInt(sent + index * headerBytes),
    message(index) {
      const length = word(received + index * headerBytes + 56);
      return Buffer.from(memory, messages + index * messageBytes, length);
    },
    port: index => port(from + index * addressBytes),
    address: index => address(from + index * addressBytes),
    putReply(index, toWhom, reply) {
      if (reply.length > replyBytes) return false;
      all.set(reply, replies + index * replyBytes);
      words[(outOf + index * vectorBytes + 8) / 4] = reply.length;
      const [source, target] = [(from + toWhom * addressBytes) / 4, (to + index * addressBytes) / 4];
      words[target] = words[source] ?? 0;
      words[target + 1] = words[source + 1] ?? 0;
      return true;
    },
    reply(index) {
      const [at, length] = [replies + index * replyBytes, word(outOf + index * vectorBytes + 8)];
      const whom = to + index * addressBytes;
      return { bytes: Buffer.from(all.subarray(at, at + length)), port: port(whom), address: address(whom) };
    },
  };
}
