import { type DatagramSockets, dontWait } from './datagram-sockets.ts';
import { createDatagrams, maxDatagramBytes } from './datagrams.ts';
import type { EpollLoop, OnReady } from './epoll-loop.ts';
import type { Libc } from './libc.ts';
import type { OpenChannel, UpstreamChannel } from './upstream-channel.ts';

const refused = 111;
/** Messages of one socket before the others have their turn. */
const messagesAtOnce = 32;

/** For all channels of one thread: the memory is used anew by each call. */
export function createEpollChannels(libc: Libc, sockets: DatagramSockets, loop: EpollLoop): OpenChannel {
  const room = () =>
    createDatagrams(libc.addressOf, { count: 1, bytesEach: maxDatagramBytes, hasAddress: false });
  const [question, answer] = [room(), room()];

  /** @returns what ends it; undefined: the kernel does not take it */
  function watch(fd: number, onReady: OnReady): (() => void) | undefined {
    try {
      return loop.watch(fd, onReady);
    } catch {
      libc.close(fd);
      return undefined;
    }
  }

  return (upstream, { onOpen, onMessage, onError }) => {
    const unusable = (): UpstreamChannel => {
      onError(false);
      return { send: (_message, onFailed) => onFailed(false), close() {} };
    };
    const fd = sockets.connected(upstream);
    if (fd === undefined) return unusable();
    let isClosed = false;
    const unwatch = watch(fd, hasError => {
      // None any more, if a try to send has just been told of it.
      const error = hasError ? sockets.takeError(fd) : 0;
      if (error !== 0) onError(error === refused);
      for (let count = 0; count < messagesAtOnce && !isClosed; count += 1) {
        const bytes = libc.recvmsg(fd, answer.at(0), dontWait);
        if (bytes < 0) return;
        onMessage(answer.receivedOf(0, bytes));
      }
    });
    if (unwatch === undefined) return unusable();
    const send = () => libc.sendmsg(fd, question.at(0), dontWait) >= 0;
    const { address, port } = sockets.localAddress(fd);
    onOpen(address, port);
    return {
      send(message, onFailed) {
        if (isClosed || !question.put(0, message, 0, 0)) {
          onFailed(false);
          return;
        }
        // The first try may tell of what became of another message, which the socket forgets by that.
        if (send() || send()) return;
        // Without room it is lost, as it is on the way.
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
