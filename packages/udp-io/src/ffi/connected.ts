import type { Connect, ConnectedSocket } from '../udp.ts';
import { createDatagrams, maxDatagramBytes } from './datagrams.ts';
import type { EpollLoop, OnReady } from './epoll-loop.ts';
import { dontWait, type KernelSockets } from './kernel-sockets.ts';
import type { Libc } from './libc.ts';

/** ECONNREFUSED. */
const refused = 111;
/** Datagrams read from one socket before the others have their turn. */
const messagesAtOnce = 32;

/** Creates `connect` for all sockets of one thread; each call reuses the memory. */
export function createConnect(libc: Libc, sockets: KernelSockets, loop: EpollLoop): Connect {
  const room = () =>
    createDatagrams(libc.addressOf, { count: 1, bytesEach: maxDatagramBytes, hasAddress: false });
  const [outgoing, incoming] = [room(), room()];

  /** @returns a function that ends it; undefined when the kernel refuses */
  function watch(fd: number, onReady: OnReady): (() => void) | undefined {
    try {
      return loop.watch(fd, onReady);
    } catch {
      libc.close(fd);
      return undefined;
    }
  }

  return (to, { onOpen, onMessage, onError }) => {
    const unusable = (): ConnectedSocket => {
      onError(false);
      return { send: (_message, onFailed) => onFailed(false), close() {} };
    };
    const fd = sockets.connected(to);
    if (fd === undefined) return unusable();
    let isClosed = false;
    const unwatch = watch(fd, hasError => {
      // The error is gone when an attempt to send has already reported it.
      const error = hasError ? sockets.takeError(fd) : 0;
      if (error !== 0) onError(error === refused);
      for (let count = 0; count < messagesAtOnce && !isClosed; count += 1) {
        const bytes = libc.recvmsg(fd, incoming.at(0), dontWait);
        if (bytes < 0) return;
        onMessage(incoming.receivedOf(0, bytes));
      }
    });
    if (unwatch === undefined) return unusable();
    const send = () => libc.sendmsg(fd, outgoing.at(0), dontWait) >= 0;
    const { address, port } = sockets.localAddress(fd);
    onOpen(address, port);
    return {
      send(message, onFailed) {
        if (isClosed || !outgoing.put(0, message, 0, 0)) {
          onFailed(false);
          return;
        }
        // The first attempt may report the fate of an earlier datagram, which clears the socket's error.
        if (send() || send()) return;
        // Without room in the socket's buffer it is lost, as it may be on the network.
        if (sockets.hasRoom(fd)) onFailed(false);
      },
      close() {
        if (isClosed) return;
        isClosed = true;
        unwatch();
        libc.close(fd);
      },
    };
  };
}
