// The few calls of the C library that Node makes none of: many datagrams with one system call.
import type { FunctionDefinitions } from 'node:ffi';

/** Each returns what C would; -1 is a failure, and its errno is lost by the time JavaScript runs. */
export interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  setsockopt(fd: number, level: number, name: number, value: bigint, bytes: number): number;
  bind(fd: number, address: bigint, bytes: number): number;
  close(fd: number): number;
  recvmmsg(fd: number, messages: bigint, count: number, flags: number, timeout: bigint): number;
  sendmmsg(fd: number, messages: bigint, count: number, flags: number): number;
  /** Where memory is. It has to be kept referenced for as long as C may use it: the collector does not know of that. */
  addressOf(memory: ArrayBuffer): bigint;
}

const signatures = {
  socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
  setsockopt: { arguments: ['int32', 'int32', 'int32', 'pointer', 'uint32'], return: 'int32' },
  bind: { arguments: ['int32', 'pointer', 'uint32'], return: 'int32' },
  close: { arguments: ['int32'], return: 'int32' },
  recvmmsg: { arguments: ['int32', 'pointer', 'uint32', 'int32', 'pointer'], return: 'int32' },
  sendmmsg: { arguments: ['int32', 'pointer', 'uint32', 'int32'], return: 'int32' },
} as const satisfies FunctionDefinitions;

/** Those whose structures and constants are written down here: alike in all of them, little-endian and of 64 bits. */
const known: readonly string[] = ['x64', 'arm64'];

/** @returns undefined: not on this machine, or Node was started with `--no-experimental-ffi` */
export function loadLibc(): Libc | undefined {
  if (process.platform !== 'linux' || !known.includes(process.arch)) return undefined;
  const ffi = withoutWarning(() => process.getBuiltinModule('node:ffi'));
  if (ffi === undefined) return undefined;
  try {
    const { functions } = ffi.dlopen(null, signatures);
    return { ...functions, addressOf: memory => ffi.getRawPointer(memory) };
  } catch {
    // Another C library than Debian's.
    return undefined;
  }
}

/** That the module is experimental is known: Node comes with the package, in one version. The log is of JSON lines alone. */
function withoutWarning<T>(load: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return load();
  } finally {
    process.emitWarning = emitWarning;
  }
}
