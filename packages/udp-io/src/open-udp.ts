import { createBind } from './ffi/bound.ts';
import { createConnect } from './ffi/connected.ts';
import { createEpollLoop } from './ffi/epoll-loop.ts';
import { createKernelSockets } from './ffi/kernel-sockets.ts';
import { loadLibc } from './ffi/libc.ts';
import { bindByNode } from './node/bound.ts';
import { connectByNode } from './node/connected.ts';
import { socketBufferBytes, type Udp } from './udp.ts';

/** How a thread does UDP: what the thread that starts it gives it, by way of `Waker`. */
export type ThreadIo = { kind: 'node' } | { kind: 'ffi'; wakeFd: number };

/**
 * Opens UDP for the thread that calls this.
 *
 * With `ffi` the thread waits in epoll_wait(2) from its next turn on, and Node's loop, with its timers and messages, has a turn
 * only when it is woken or when `turnMs` is over. With `node` the thread stays in Node's loop.
 *
 * @param turnMs how long Node's loop may wait for its next turn, in ms; asked for before each
 * @throws Error when `node:ffi` cannot be used here, or no descriptor is left
 */
export function openUdp(io: ThreadIo, turnMs: () => number): Udp {
  switch (io.kind) {
    case 'node':
      return closeTogether({ bind: bindByNode, connect: connectByNode }, () => {});
    case 'ffi': {
      const libc = loadLibc();
      if ('unusable' in libc) throw new Error(`node:ffi cannot be used in this thread: ${libc.unusable}`);
      const loop = createEpollLoop({ libc, wakeFd: io.wakeFd, turnMs });
      const sockets = createKernelSockets(libc, socketBufferBytes);
      loop.start();
      const bind = createBind(libc, sockets, loop);
      const connect = createConnect(libc, sockets, loop);
      return closeTogether({ bind, connect }, loop.close);
    }
  }
}

/**
 * Remembers open sockets, so that all of them can be closed at once.
 *
 * @param end is called once the last socket is closed
 */
function closeTogether({ bind, connect }: Pick<Udp, 'bind' | 'connect'>, end: () => void): Udp {
  const open = new Set<{ close(): void }>();
  const closing = (socket: { close(): void }) => {
    open.add(socket);
    return () => {
      open.delete(socket);
      socket.close();
    };
  };
  return {
    async bind(address, isShared, onDatagram) {
      const socket = await bind(address, isShared, onDatagram);
      return { ...socket, close: closing(socket) };
    },
    connect(to, events) {
      const socket = connect(to, events);
      return { send: socket.send, close: closing(socket) };
    },
    close() {
      for (const socket of open) socket.close();
      open.clear();
      end();
    },
  };
}
