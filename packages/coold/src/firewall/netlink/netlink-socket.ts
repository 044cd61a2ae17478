import type { FunctionDefinitions } from 'node:ffi';
import { loadFfi } from '@coold/runtime/load-ffi';
import { decodeMessages, encodeRequest, type NetlinkMessage, netlinkFlags, netlinkTypes } from './netlink.ts';

/** The netlink family: the packet filter, or interfaces and routes. */
export type NetlinkSubject = 'nf_tables' | 'routes';

/** The kernel refused a request. Carries the errno, such as 2 for something that does not exist. */
export class NetlinkError extends Error {
  readonly errno: number;
  constructor(errno: number) {
    super(errno === 1 ? 'the kernel answers root alone' : `the kernel answered with error ${errno}`);
    this.name = 'NetlinkError';
    this.errno = errno;
  }
}

/** Asks the kernel questions, one at a time. The kernel answers each at once, so none waits. */
export interface NetlinkSocket extends Disposable {
  /**
   * Reads every object of a kind. Yields to other work of this process between the parts of a long answer.
   *
   * @param parts the request's header and attributes
   * @returns whether the rules changed meanwhile, so that some may be missing or twice there
   * @throws NetlinkError
   */
  dump(
    type: number,
    parts: readonly Buffer[],
    take: (message: NetlinkMessage) => void,
  ): Promise<{ interrupted: boolean }>;
  /** Reads one object. @returns undefined when it does not exist @throws NetlinkError */
  get(type: number, parts: readonly Buffer[]): NetlinkMessage | undefined;
}

const [netlinkDomain, rawType, closeOnExec] = [16, 3, 0x80000];
const protocols: Readonly<Record<NetlinkSubject, number>> = { nf_tables: 12, routes: 0 };
const dontWait = 0x40;
const notFound = 2;
/** Message types of nf_tables carry netfilter's subsystem number. */
const typesFrom: Readonly<Record<NetlinkSubject, number>> = { nf_tables: 10 << 8, routes: 0 };
/** The kernel fills a part with what fits, up to 32 KiB. */
const partBytes = 64 * 1024;
/** The number of parts read before other work runs: about 2 ms. */
const partsAtOnce = 16;

export type OpenNetlink = (subject: NetlinkSubject) => NetlinkSocket;

interface Calls {
  socket(domain: number, type: number, protocol: number): number;
  send(fd: number, bytes: bigint, length: bigint, flags: number): bigint;
  recv(fd: number, bytes: bigint, length: bigint, flags: number): bigint;
  close(fd: number): number;
  addressOf(memory: ArrayBuffer): bigint;
}

const signatures = {
  socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
  send: { arguments: ['int32', 'pointer', 'uint64', 'int32'], return: 'int64' },
  recv: { arguments: ['int32', 'pointer', 'uint64', 'int32'], return: 'int64' },
  close: { arguments: ['int32'], return: 'int32' },
} as const satisfies FunctionDefinitions;

/**
 * Returns a function that opens a socket.
 *
 * @returns undefined when this Node cannot call C (docs/decisions/node-ffi.md)
 */
export function loadNetlink(): OpenNetlink | undefined {
  const ffi = loadFfi();
  if (ffi === undefined) return undefined;
  const { functions } = ffi.dlopen(null, signatures);
  const calls = { ...functions, addressOf: (memory: ArrayBuffer) => ffi.getRawPointer(memory) };
  return subject => openSocket(calls, subject);
}

/** @throws Error when the kernel does not give a socket */
function openSocket(functions: Calls, subject: NetlinkSubject): NetlinkSocket {
  const fd = functions.socket(netlinkDomain, rawType | closeOnExec, protocols[subject]);
  if (fd < 0) throw new Error('the kernel gives no socket of netlink');
  const memory = new ArrayBuffer(partBytes);
  const pointer = functions.addressOf(memory);
  const part = Buffer.from(memory);
  let sequence = 0;

  function send(type: number, flags: number, parts: readonly Buffer[]): void {
    sequence += 1;
    const request = encodeRequest({ type: typesFrom[subject] | type, flags, sequence }, parts);
    if (request.length > partBytes) throw new Error('a question to the kernel is too long');
    part.set(request);
    if (Number(functions.send(fd, pointer, BigInt(request.length), 0)) !== request.length)
      throw new Error(`the kernel took no question about ${subject}`);
  }

  /** Reads the kernel's next messages. They lie in memory that the next call overwrites. */
  function receive(): NetlinkMessage[] {
    const bytes = Number(functions.recv(fd, pointer, BigInt(partBytes), dontWait));
    if (bytes <= 0) throw new Error(`the kernel gave no answer about ${subject}`);
    return decodeMessages(part.subarray(0, bytes)).filter(message => message.sequence === sequence);
  }

  /** @throws NetlinkError */
  function refuse({ body }: NetlinkMessage): void {
    const errno = body.length < 4 ? 0 : -body.readInt32LE(0);
    if (errno !== 0) throw new NetlinkError(errno);
  }

  return {
    async dump(type, parts, take) {
      send(type, netlinkFlags.request | netlinkFlags.dump, parts);
      let interrupted = false;
      for (let taken = 1; ; taken += 1) {
        for (const message of receive()) {
          interrupted ||= (message.flags & netlinkFlags.interrupted) !== 0;
          if (message.type === netlinkTypes.error) refuse(message);
          if (message.type === netlinkTypes.done) {
            refuse(message);
            return { interrupted };
          }
          take(message);
        }
        if (taken % partsAtOnce === 0) await new Promise(resolve => setImmediate(resolve));
      }
    },
    get(type, parts) {
      send(type, netlinkFlags.request, parts);
      const [message] = receive();
      if (message === undefined) throw new Error(`the kernel gave no answer about ${subject}`);
      if (message.type !== netlinkTypes.error) return { ...message, body: Buffer.from(message.body) };
      try {
        refuse(message);
      } catch (error) {
        if (error instanceof NetlinkError && error.errno === notFound) return undefined;
        throw error;
      }
      return undefined;
    },
    [Symbol.dispose]: () => void functions.close(fd),
  };
}
