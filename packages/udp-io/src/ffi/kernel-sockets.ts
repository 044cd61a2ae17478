// Sockets as the kernel gives them, without Node's own layer. The constants are those of asm-generic/socket.h and the
// headers beside it, on x86-64 and arm64 alike; addresses are `struct sockaddr_in` and `struct sockaddr_in6`.
//
// A socket that listens is bound with IP_FREEBIND (ip(7)): the address need not be on any interface yet. So a gateway has its
// sockets before its bridge is there, and keeps them when the bridge goes. It needs no privilege and changes nothing for other
// programs, unlike the setting net.ipv4.ip_nonlocal_bind. The kernel gives such a socket nothing before an interface has the
// address; which interface a packet may come in by is for the firewall to say.
import type { Address } from '@coold/runtime';
import { type Layout, layoutHere } from './layout.ts';
import type { Libc } from './libc.ts';

export const familyInet = 2;
const familyInet6 = 10;

const [stream, datagram] = [1, 2];
export const nonBlocking = 0o4000;
export const closeOnExec = 0o2000000;
const [ipLevel, socketLevel] = [0, 1];
const freeBind = 15;
const options = { reuseAddress: 2, error: 4, sendBuffer: 7, receiveBuffer: 8, reusePort: 15 };
const pollOut = 0x004;
/** The flag for calls that must not block. */
export const dontWait = 0x40;

export interface KernelSockets {
  /**
   * Opens a UDP socket at an IPv4 address, which no interface needs to have yet.
   *
   * @param isShared whether others of this process are bound there too
   * @returns a descriptor; undefined when the kernel refuses
   */
  bound(address: Address, isShared: boolean): number | undefined;
  /** Opens a TCP socket in the same way, for Node to listen on. @returns as `bound` does */
  boundStream(address: Address): number | undefined;
  /** Opens a UDP socket on a port that the kernel draws. @returns as `bound` does */
  connected(address: Address): number | undefined;
  /** @returns address: IPv4 as a number, also when it is mapped into IPv6; 0 for others */
  localAddress(fd: number): { address: number; port: number };
  /** Returns a socket's pending error number and clears it; 0 for none. */
  takeError(fd: number): number;
  /** Whether the kernel would accept another datagram, so that a refusal was not for lack of room. */
  hasRoom(fd: number): boolean;
}

/** @param bufferBytes the buffer size in each direction of bound UDP sockets; the kernel may give less */
export function createKernelSockets(
  libc: Libc,
  bufferBytes: number,
  layout: Layout = layoutHere,
): KernelSockets {
  const { ipv4, ipv6, poll } = layout;
  // The memory that is passed to C. It lives as long as any of the functions.
  const scratch = new DataView(new ArrayBuffer(64));
  const at = libc.addressOf(scratch.buffer);
  const lengthAt = 32;

  function putAddress({ host, port }: Address): { family: number; bytes: number } | undefined {
    for (const [family, name] of [
      [familyInet, ipv4],
      [familyInet6, ipv6],
    ] as const) {
      for (let byte = 0; byte < name.bytes; byte += 1) scratch.setUint8(byte, 0);
      scratch.setUint16(0, family, true);
      scratch.setUint16(name.port, port);
      if (libc.inet_pton(family, host, at + BigInt(name.address)) === 1) return { family, bytes: name.bytes };
    }
    return undefined;
  }

  function set(fd: number, option: number, value: number, level = socketLevel): boolean {
    scratch.setInt32(0, value, true);
    return libc.setsockopt(fd, level, option, at, 4) === 0;
  }

  function bind(fd: number, address: Address): boolean {
    if (!set(fd, freeBind, 1, ipLevel)) return false;
    const name = putAddress(address);
    return name?.family === familyInet && libc.bind(fd, at, name.bytes) === 0;
  }

  /** Opens a descriptor and applies `use`; closes it again when that fails. */
  function opened(family: number, type: number, use: (fd: number) => boolean): number | undefined {
    const fd = libc.socket(family, type | nonBlocking | closeOnExec, 0);
    if (fd < 0) return undefined;
    if (use(fd)) return fd;
    libc.close(fd);
    return undefined;
  }

  return {
    bound(address, isShared) {
      return opened(familyInet, datagram, fd => {
        set(fd, options.sendBuffer, bufferBytes);
        set(fd, options.receiveBuffer, bufferBytes);
        if (isShared && !set(fd, options.reusePort, 1)) return false;
        return bind(fd, address);
      });
    },
    // As Node does, so that old connections of an earlier listener are not in the way.
    boundStream: address =>
      opened(familyInet, stream, fd => set(fd, options.reuseAddress, 1) && bind(fd, address)),
    connected(address) {
      const name = putAddress(address);
      return name && opened(name.family, datagram, fd => libc.connect(fd, at, name.bytes) === 0);
    },
    localAddress(fd) {
      scratch.setUint32(lengthAt, ipv6.bytes, true);
      if (libc.getsockname(fd, at, at + BigInt(lengthAt)) !== 0) return { address: 0, port: 0 };
      if (scratch.getUint16(0, true) === familyInet)
        return { address: scratch.getUint32(ipv4.address), port: scratch.getUint16(ipv4.port) };
      const isMapped =
        scratch.getBigUint64(ipv6.address) === 0n && scratch.getUint32(ipv6.address + 8) === 0xffff;
      return {
        address: isMapped ? scratch.getUint32(ipv6.address + 12) : 0,
        port: scratch.getUint16(ipv6.port),
      };
    },
    takeError(fd) {
      scratch.setInt32(lengthAt, 4, true);
      const result = libc.getsockopt(fd, socketLevel, options.error, at, at + BigInt(lengthAt));
      return result === 0 ? scratch.getInt32(0, true) : 0;
    },
    hasRoom(fd) {
      scratch.setInt32(0, fd, true);
      // Clears the former content, which is no answer.
      scratch.setInt32(4, 0, true);
      scratch.setUint16(poll.asked, pollOut, true);
      return libc.poll(at, 1n, 0) === 1 && (scratch.getUint16(poll.returned, true) & pollOut) !== 0;
    },
  };
}
