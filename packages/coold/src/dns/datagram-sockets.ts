// Sockets of UDP as the kernel gives them, which Node does not know of. The constants are those of asm-generic/socket.h and
// the headers beside it, on x86-64 and arm64 alike; addresses are `struct sockaddr_in` and `struct sockaddr_in6`.
import type { Address } from '@coold/runtime';
import type { Libc } from './libc.ts';

export const familyInet = 2;
const familyInet6 = 10;
export const ipv4AddressBytes = 16;
const ipv6AddressBytes = 28;

const datagram = 2;
export const nonBlocking = 0o4000;
export const closeOnExec = 0o2000000;
const socketLevel = 1;
const options = { error: 4, sendBuffer: 7, receiveBuffer: 8, reusePort: 15 };
const pollOut = 0x004;
/** For calls that are to wait for nothing. */
export const dontWait = 0x40;

export interface DatagramSockets {
  /**
   * @param isShared others of this process are bound there too
   * @returns a descriptor; undefined: the kernel has none for that
   */
  bound(address: Address, isShared: boolean): number | undefined;
  /** On a port that the kernel draws. @returns as `bound` does */
  connected(address: Address): number | undefined;
  /** @returns address: IPv4 as a number, also where it is mapped into IPv6; 0: another */
  localAddress(fd: number): { address: number; port: number };
  /** The number of the error that a socket has, which has it no more then; 0: none. */
  takeError(fd: number): number;
  /** Whether the kernel would take another datagram: what it refused was not for want of room. */
  hasRoom(fd: number): boolean;
}

/** @param bufferBytes each way, of those that are bound; the kernel gives what it may */
export function createDatagramSockets(libc: Libc, bufferBytes: number): DatagramSockets {
  // What is handed to C is always this, which lives for as long as any of the functions.
  const scratch = new DataView(new ArrayBuffer(64));
  const at = libc.addressOf(scratch.buffer);
  const lengthAt = 32;

  function putAddress({ host, port }: Address): { family: number; bytes: number } | undefined {
    for (const [family, bytes, hostAt] of [
      [familyInet, ipv4AddressBytes, 4n],
      [familyInet6, ipv6AddressBytes, 8n],
    ] as const) {
      for (let byte = 0; byte < bytes; byte += 1) scratch.setUint8(byte, 0);
      scratch.setUint16(0, family, true);
      scratch.setUint16(2, port);
      if (libc.inet_pton(family, host, at + hostAt) === 1) return { family, bytes };
    }
    return undefined;
  }

  function set(fd: number, option: number, value: number): boolean {
    scratch.setInt32(0, value, true);
    return libc.setsockopt(fd, socketLevel, option, at, 4) === 0;
  }

  /** One that `use` has made something of; else none is left behind. */
  function opened(family: number, use: (fd: number) => boolean): number | undefined {
    const fd = libc.socket(family, datagram | nonBlocking | closeOnExec, 0);
    if (fd < 0) return undefined;
    if (use(fd)) return fd;
    libc.close(fd);
    return undefined;
  }

  return {
    bound(address, isShared) {
      return opened(familyInet, fd => {
        set(fd, options.sendBuffer, bufferBytes);
        set(fd, options.receiveBuffer, bufferBytes);
        if (isShared && !set(fd, options.reusePort, 1)) return false;
        const name = putAddress(address);
        return name?.family === familyInet && libc.bind(fd, at, name.bytes) === 0;
      });
    },
    connected(address) {
      const name = putAddress(address);
      return name && opened(name.family, fd => libc.connect(fd, at, name.bytes) === 0);
    },
    localAddress(fd) {
      scratch.setUint32(lengthAt, ipv6AddressBytes, true);
      if (libc.getsockname(fd, at, at + BigInt(lengthAt)) !== 0) return { address: 0, port: 0 };
      const port = scratch.getUint16(2);
      if (scratch.getUint16(0, true) === familyInet) return { address: scratch.getUint32(4), port };
      const isMapped = scratch.getBigUint64(8) === 0n && scratch.getUint32(16) === 0xffff;
      return { address: isMapped ? scratch.getUint32(20) : 0, port };
    },
    takeError(fd) {
      scratch.setInt32(lengthAt, 4, true);
      const result = libc.getsockopt(fd, socketLevel, options.error, at, at + BigInt(lengthAt));
      return result === 0 ? scratch.getInt32(0, true) : 0;
    },
    hasRoom(fd) {
      scratch.setInt32(0, fd, true);
      scratch.setInt32(4, pollOut, true);
      return libc.poll(at, 1n, 0) === 1 && (scratch.getUint16(6, true) & pollOut) !== 0;
    },
  };
}
