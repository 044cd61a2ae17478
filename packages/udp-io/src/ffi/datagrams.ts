// The memory of recvmmsg and related calls: for each datagram a `struct mmsghdr`, which begins with a `struct msghdr`
// and points to a `struct iovec`, which points to the bytes, and to a `struct sockaddr_in`. It is one piece of memory,
// so that what C points to lives as long as any view of it.
import { familyInet } from './kernel-sockets.ts';
import { type Layout, layoutHere } from './layout.ts';

/** More than UDP can carry, so that no datagram is cut. Untouched pages cost nothing. */
export const maxDatagramBytes = 65_536;

/** Room for some datagrams, each with its source or destination address. */
export interface Datagrams {
  /** Returns the address of the index-th header, for C. */
  at(index: number): bigint;
  /** Returns the bytes that recvmmsg wrote. The next call overwrites them. */
  received(index: number): Buffer;
  /** The same for recvmsg, which returns the length in another way. */
  receivedOf(index: number, bytes: number): Buffer;
  port(index: number): number;
  /** Returns an IPv4 address as a number. */
  address(index: number): number;
  /** Prepares the index-th datagram for sending. @returns false when it is too long */
  put(index: number, bytes: Buffer, port: number, address: number): boolean;
}

export interface DatagramsOptions {
  count: number;
  /** The most bytes per datagram. */
  bytesEach: number;
  /** Whether datagrams have addresses; those of a connected socket do not. */
  hasAddress: boolean;
}

/** @param addressOf returns the address of memory, valid while the memory is referenced */
export function createDatagrams(
  addressOf: (memory: ArrayBuffer) => bigint,
  { count, bytesEach, hasAddress }: DatagramsOptions,
  layout: Layout = layoutHere,
): Datagrams {
  const { message, vector, ipv4 } = layout;
  const names = message.bytes * count;
  const vectors = names + ipv4.bytes * count;
  const contents = vectors + vector.bytes * count;
  const memory = new ArrayBuffer(contents + bytesEach * count);
  const base = addressOf(memory);
  const view = new DataView(memory);
  const all = Buffer.from(memory);

  const point = (at: number, target: number) => view.setBigUint64(at, base + BigInt(target), true);
  for (let index = 0; index < count; index += 1) {
    const [header, part] = [index * message.bytes, vectors + index * vector.bytes];
    if (hasAddress) {
      const name = names + index * ipv4.bytes;
      view.setUint16(name, familyInet, true);
      point(header + message.name, name);
      view.setUint32(header + message.nameBytes, ipv4.bytes, true);
    }
    point(header + message.vectors, part);
    view.setBigUint64(header + message.vectorCount, 1n, true);
    point(part + vector.base, contents + index * bytesEach);
    view.setBigUint64(part + vector.length, BigInt(bytesEach), true);
  }

  const headers = Array.from({ length: count }, (_, index) => base + BigInt(index * message.bytes));
  const [headerBytes, nameBytes, vectorBytes] = [message.bytes, ipv4.bytes, vector.bytes];
  const lengths = message.length;
  const ports = names + ipv4.port;
  const addresses = names + ipv4.address;
  const rooms = vectors + vector.length;
  const receivedOf = (index: number, bytes: number) =>
    Buffer.from(memory, contents + index * bytesEach, bytes);
  return {
    at: index => headers[index] ?? 0n,
    received: index => receivedOf(index, view.getUint32(index * headerBytes + lengths, true)),
    receivedOf,
    port: index => view.getUint16(ports + index * nameBytes),
    address: index => view.getUint32(addresses + index * nameBytes),
    put(index, bytes, port, address) {
      if (bytes.length > bytesEach) return false;
      all.set(bytes, contents + index * bytesEach);
      view.setUint32(rooms + index * vectorBytes, bytes.length, true);
      view.setUint16(ports + index * nameBytes, port);
      view.setUint32(addresses + index * nameBytes, address);
      return true;
    },
  };
}
