// C library calls that Node does not make: waiting for several sockets without its loop, and reading and writing many
// datagrams at once.
import type { FunctionDefinitions } from 'node:ffi';
import { loadFfi } from '@coold/runtime/load-ffi';

/** Each returns what C returns; -1 is a failure, and its errno is lost by the time JavaScript runs. */
export interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  setsockopt(fd: number, level: number, name: number, value: bigint, bytes: number): number;
  getsockopt(fd: number, level: number, name: number, value: bigint, bytes: bigint): number;
  bind(fd: number, address: bigint, bytes: number): number;
  connect(fd: number, address: bigint, bytes: number): number;
  getsockname(fd: number, address: bigint, bytes: bigint): number;
  close(fd: number): number;
  epoll_create1(flags: number): number;
  epoll_ctl(fd: number, operation: number, about: number, event: bigint): number;
  epoll_wait(fd: number, events: bigint, count: number, timeoutMs: number): number;
  poll(fds: bigint, count: bigint, timeoutMs: number): number;
  recvmsg(fd: number, message: bigint, flags: number): number;
  sendmsg(fd: number, message: bigint, flags: number): number;
  recvmmsg(fd: number, messages: bigint, count: number, flags: number, timeout: bigint): number;
  sendmmsg(fd: number, messages: bigint, count: number, flags: number): number;
  eventfd(value: number, flags: number): number;
  eventfd_read(fd: number, value: bigint): number;
  eventfd_write(fd: number, value: bigint): number;
  inet_pton(family: number, text: string, address: bigint): number;
  /**
   * Returns the address of memory. Keep the memory referenced while C may use it, because the garbage collector does
   * not know about that.
   */
  addressOf(memory: ArrayBuffer): bigint;
}

const [int, unsigned, pointer, long] = ['int32', 'uint32', 'pointer', 'uint64'] as const;
const signatures = {
  socket: { arguments: [int, int, int], return: int },
  setsockopt: { arguments: [int, int, int, pointer, unsigned], return: int },
  getsockopt: { arguments: [int, int, int, pointer, pointer], return: int },
  bind: { arguments: [int, pointer, unsigned], return: int },
  connect: { arguments: [int, pointer, unsigned], return: int },
  getsockname: { arguments: [int, pointer, pointer], return: int },
  close: { arguments: [int], return: int },
  epoll_create1: { arguments: [int], return: int },
  epoll_ctl: { arguments: [int, int, int, pointer], return: int },
  epoll_wait: { arguments: [int, pointer, int, int], return: int },
  poll: { arguments: [pointer, long, int], return: int },
  // The result fits: no datagram is longer than 64 KiB.
  recvmsg: { arguments: [int, pointer, int], return: int },
  sendmsg: { arguments: [int, pointer, int], return: int },
  recvmmsg: { arguments: [int, pointer, unsigned, int, pointer], return: int },
  sendmmsg: { arguments: [int, pointer, unsigned, int], return: int },
  eventfd: { arguments: [unsigned, int], return: int },
  eventfd_read: { arguments: [int, pointer], return: int },
  eventfd_write: { arguments: [int, long], return: int },
  inet_pton: { arguments: [int, 'string', pointer], return: int },
} as const satisfies FunctionDefinitions;

/** The machines whose structures and constants are known here: little-endian, 64 bits. */
const known: readonly string[] = ['x64', 'arm64'];

/**
 * @returns unusable: why Node cannot call the C library here, for example because it was started with
 * `--no-experimental-ffi`
 */
export function loadLibc(): Libc | { unusable: string } {
  if (process.platform !== 'linux' || !known.includes(process.arch))
    return { unusable: `the kernel's structures are not known on ${process.platform} ${process.arch}` };
  const ffi = loadFfi();
  if (ffi === undefined) return { unusable: 'this Node has no node:ffi, or it is switched off' };
  try {
    const { functions } = ffi.dlopen(null, signatures);
    return { ...functions, addressOf: memory => ffi.getRawPointer(memory) };
  } catch (error) {
    // The C library is not Debian's.
    return { unusable: `the C library cannot be called: ${(error as Error).message}` };
  }
}
