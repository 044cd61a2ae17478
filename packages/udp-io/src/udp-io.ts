import type { Address } from '@coold/runtime';
import { closeOnExec, createKernelSockets, nonBlocking } from './ffi/kernel-sockets.ts';
import { type Layout, layoutHere } from './ffi/layout.ts';
import { loadLibc } from './ffi/libc.ts';
import { selfTest } from './ffi/self-test.ts';
import type { ThreadIo } from './open-udp.ts';
import { socketBufferBytes } from './udp.ts';

/** Makes a thread that does UDP look at its messages. */
export interface Waker {
  /** Handed to the thread, for `openUdp`. */
  readonly io: ThreadIo;
  /** To be called after each message to the thread. */
  wake(): void;
  /** To be called once the thread has ended. */
  close(): void;
}

/** One of the two ways to do UDP, for a thread that starts others. */
export interface UdpIo {
  readonly kind: ThreadIo['kind'];
  /** @throws Error when the process or the system has no descriptor left */
  createWaker(): Waker;
  /**
   * A TCP socket that is bound to an address before an interface has it, for Node to listen on; undefined: Node cannot do that.
   *
   * @returns a descriptor; undefined: the kernel gives none
   */
  readonly bindStream: ((address: Address) => number | undefined) | undefined;
}

/** UDP by `node:dgram`: works everywhere, and on each thread by Node's own loop, which messages wake. */
export const nodeIo: UdpIo = {
  kind: 'node',
  createWaker: () => ({ io: { kind: 'node' }, wake() {}, close() {} }),
  bindStream: undefined,
};

/**
 * UDP by epoll through `node:ffi`, after a test with sockets of loopback that the kernel understands our structures as we do. The
 * test takes some ms; up to a second where it fails.
 *
 * @param layout another only in tests
 * @returns unusable: why it cannot be used here
 */
export function loadFfiIo(layout: Layout = layoutHere): UdpIo | { unusable: string } {
  const libc = loadLibc();
  if ('unusable' in libc) return libc;
  const failure = selfTest(libc, layout);
  if (failure !== undefined) return { unusable: `the self-test failed: ${failure}` };
  const { boundStream } = createKernelSockets(libc, socketBufferBytes);
  return {
    kind: 'ffi',
    createWaker() {
      const wakeFd = libc.eventfd(0, nonBlocking | closeOnExec);
      if (wakeFd < 0) throw new Error('eventfd failed: no descriptor is left');
      return {
        io: { kind: 'ffi', wakeFd },
        wake: () => void libc.eventfd_write(wakeFd, 1n),
        close: () => void libc.close(wakeFd),
      };
    },
    bindStream: boundStream,
  };
}
