import type { FunctionDefinitions } from 'node:ffi';
import { loadFfi } from '@coold/runtime/load-ffi';
import { decodeMessages, type NetlinkMessage } from './netlink.ts';

/** What nf_tables announces of each transaction since this was opened: the changes, then the new generation. */
export interface Announcements extends Disposable {
  /**
   * Reads what was announced since the last call. Yields to other work of this process between parts.
   *
   * @returns false when some announcements were lost, because the kernel's buffer is limited
   */
  take(each: (message: NetlinkMessage) => void): Promise<boolean>;
}

export type OpenAnnouncements = () => Announcements;

const [netlinkDomain, rawType, closeOnExec, netfilter] = [16, 3, 0x80000, 12];
const groupOfNfTables = 7;
const [socketLevel, receiveBufferForced] = [1, 33];
const dontWait = 0x40;
const [canRead, hasError] = [1, 8];
/**
 * The size of the kernel's buffer in bytes: enough for a change of more than 10,000 rules. It takes no memory while it
 * is empty.
 */
const keptBytes = 32 * 1024 * 1024;
/** A part is one or two pages. */
const partBytes = 64 * 1024;
/** The number of parts read before other work runs: about 2 ms. */
const partsAtOnce = 64;

const signatures = {
  socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
  bind: { arguments: ['int32', 'pointer', 'uint32'], return: 'int32' },
  setsockopt: { arguments: ['int32', 'int32', 'int32', 'pointer', 'uint32'], return: 'int32' },
  poll: { arguments: ['pointer', 'uint64', 'int32'], return: 'int32' },
  recv: { arguments: ['int32', 'pointer', 'uint64', 'int32'], return: 'int64' },
  close: { arguments: ['int32'], return: 'int32' },
} as const satisfies FunctionDefinitions;

/**
 * Returns a function that opens the announcements.
 *
 * @param kept the size of the kernel's buffer in bytes; only tests change it
 * @returns undefined when this Node cannot call C (docs/decisions/node-ffi.md)
 */
export function loadAnnouncements(kept = keptBytes): OpenAnnouncements | undefined {
  const ffi = loadFfi();
  if (ffi === undefined) return undefined;
  const { functions } = ffi.dlopen(null, signatures);
  const at = (memory: ArrayBuffer) => ffi.getRawPointer(memory);

  return () => {
    const fd = functions.socket(netlinkDomain, rawType | closeOnExec, netfilter);
    if (fd < 0) throw new Error('the kernel gives no socket of netlink');
    const size = Uint32Array.of(kept);
    functions.setsockopt(fd, socketLevel, receiveBufferForced, at(size.buffer), size.byteLength);
    // The kernel chooses this end's port number.
    const address = Uint32Array.of(netlinkDomain, 0, 1 << (groupOfNfTables - 1));
    if (functions.bind(fd, at(address.buffer), address.byteLength) !== 0) {
      functions.close(fd);
      throw new Error('the kernel does not announce changes of nf_tables');
    }
    // struct pollfd: the descriptor, the requested events, and the returned events.
    const askedMemory = new ArrayBuffer(8);
    const asked = Buffer.from(askedMemory);
    asked.writeInt32LE(fd, 0);
    asked.writeInt16LE(canRead, 4);
    const askedAt = at(askedMemory);
    const memory = new ArrayBuffer(partBytes);
    const memoryAt = at(memory);
    const part = Buffer.from(memory);

    /** Returns the next part; undefined when there is none. 'lost': the kernel reports that it dropped some. */
    function next(): NetlinkMessage[] | undefined | 'lost' {
      asked.writeInt16LE(0, 6);
      if (functions.poll(askedAt, 1n, 0) === 0) return undefined;
      if ((asked.readInt16LE(6) & hasError) === 0) {
        const bytes = Number(functions.recv(fd, memoryAt, BigInt(partBytes), dontWait));
        // Nothing else reads from this socket, so this is an error too.
        if (bytes > 0) return decodeMessages(part.subarray(0, bytes));
      } else functions.recv(fd, memoryAt, BigInt(partBytes), dontWait); // it is told once
      return 'lost';
    }

    return {
      async take(each) {
        let isWhole = true;
        for (let taken = 1; ; taken += 1) {
          const messages = next();
          if (messages === undefined) return isWhole;
          if (messages === 'lost') isWhole = false;
          else for (const message of messages) each(message);
          if (taken % partsAtOnce === 0) await new Promise(resolve => setImmediate(resolve));
        }
      },
      [Symbol.dispose]: () => void functions.close(fd),
    };
  };
}
