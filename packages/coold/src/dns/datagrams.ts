// What recvmmsg and its kin read and write: for each datagram a `struct mmsghdr`, which begins as a `struct msghdr` and
// points to a `struct iovec`, which points to its bytes, and to a `struct sockaddr_in`. Of 64-bit little-endian Linux. All of
// it is one piece of memory, so that what C points to lives for as long as any view of it.
import { familyInet, ipv4AddressBytes } from './datagram-sockets.ts';

/** More than UDP can carry, so that none is cut; untouched pages cost nothing. */
export const maxDatagramBytes = 65_536;
const headerBytes = 64;
const vectorBytes = 16;
/** After the `struct msghdr`: how much came. */
const lengthOffset = 56;

/** Room for some datagrams, each with the address that it came from or goes to. */
export interface Datagrams {
  /** Where the header of the index-th is, for C. */
  at(index: number): bigint;
  /** What recvmmsg has put there: overwritten by what comes next. */
  received(index: number): Buffer;
  /** The same of recvmsg, which tells the length otherwise. */
  receivedOf(index: number, bytes: number): Buffer;
  port(index: number): number;
  /** IPv4, as a number. */
  address(index: number): number;
  /** Makes the index-th one to be sent. @returns false: it is too long */
  put(index: number, bytes: Buffer, port: number, address: number): boolean;
}

export interface DatagramsOptions {
  count: number;
  /** That each may have at most. */
  bytesEach: number;
  /** Whether addresses belong to them; of a connected socket they do not. */
  hasAddress: boolean;
}

/** @param addressOf says where memory is, for as long as it is referenced */
export function createDatagrams(
  addressOf: (memory: ArrayBuffer) => bigint,
  { count, bytesEach, hasAddress }: DatagramsOptions,
): Datagrams {
  const names = headerBytes * count;
  const vectors = names + ipv4AddressBytes * count;
  const contents = vectors + vectorBytes * count;
  const memory = new ArrayBuffer(contents + bytesEach * count);
  const base = addressOf(memory);
  const view = new DataView(memory);
  const all = Buffer.from(memory);
  const words = new Uint32Array(memory);

  const point = (at: number, target: number) => view.setBigUint64(at, base + BigInt(target), true);
  for (let index = 0; index < count; index += 1) {
    const [header, vector] = [index * headerBytes, vectors + index * vectorBytes];
    if (hasAddress) {
      const name = names + index * ipv4AddressBytes;
      view.setUint16(name, familyInet, true);
      point(header, name);
      view.setUint32(header + 8, ipv4AddressBytes, true);
    }
    point(header + 16, vector);
    view.setBigUint64(header + 24, 1n, true);
    point(vector, contents + index * bytesEach);
    view.setBigUint64(vector + 8, BigInt(bytesEach), true);
  }

  const headers = Array.from({ length: count }, (_, index) => base + BigInt(index * headerBytes));
  const receivedOf = (index: number, bytes: number) =>
    Buffer.from(memory, contents + index * bytesEach, bytes);
  return {
    at: index => headers[index] ?? 0n,
    received: index => receivedOf(index, words[(index * headerBytes + lengthOffset) / 4] ?? 0),
    receivedOf,
    port: index => view.getUint16(names + index * ipv4AddressBytes + 2),
    address: index => view.getUint32(names + index * ipv4AddressBytes + 4),
    put(index, bytes, port, address) {
      if (bytes.length > bytesEach) return false;
      all.set(bytes, contents + index * bytesEach);
      words[(vectors + index * vectorBytes + 8) / 4] = bytes.length;
      const name = names + index * ipv4AddressBytes;
      view.setUint16(name + 2, port);
      view.setUint32(name + 4, address);
      return true;
    },
  };
}
