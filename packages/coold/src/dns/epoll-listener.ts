import { createSocket } from 'node:dgram';
import type { Address } from '@coold/runtime';
import { type DatagramSockets, dontWait } from './datagram-sockets.ts';
import { createDatagrams, maxDatagramBytes } from './datagrams.ts';
import type { EpollLoop } from './epoll-loop.ts';
import type { Libc } from './libc.ts';
import type { ServeQuery } from './serve-query.ts';
import type { Listener } from './udp-listener.ts';

const none = 0n;
/** Datagrams that one call takes at most. */
const batchSize = 32;
/** As much as we send over UDP (EDNS(0)); what is longer, as an upstream's may be, goes alone. */
const replyBytes = 4096;

/**
 * Answers over UDP on one address.
 *
 * @param isShared others of this process listen there too: the kernel gives each client's socket to one of them
 * @throws Error with the system's code when it cannot be had
 */
export type ListenEpoll = (address: Address, serve: ServeQuery, isShared: boolean) => Promise<Listener>;

/**
 * For all sockets of one thread: the memory is used anew by each call. What waits on a socket is read by one system call and
 * answered by another, up to 32 messages; what the kernel does not take is lost, as it is on the way, and asked for again.
 */
export function createEpollListeners(libc: Libc, sockets: DatagramSockets, loop: EpollLoop): ListenEpoll {
  const room = (count: number, bytesEach: number) =>
    createDatagrams(libc.addressOf, { count, bytesEach, hasAddress: true });
  const messages = room(batchSize, maxDatagramBytes);
  const replies = room(batchSize, replyBytes);
  const alone = room(1, maxDatagramBytes);

  function sendAlone(fd: number, reply: Buffer, port: number, address: number): void {
    if (alone.put(0, reply, port, address)) libc.sendmsg(fd, alone.at(0), dontWait);
  }

  /** Takes one message. @returns false: there is none */
  function answerOne(fd: number, serve: ServeQuery, isClosed: () => boolean): boolean {
    const bytes = libc.recvmsg(fd, messages.at(0), dontWait);
    if (bytes < 0) return false;
    const [port, address] = [messages.port(0), messages.address(0)];
    // Port 0 is nobody's.
    if (port !== 0)
      serve(messages.receivedOf(0, bytes), 'udp', { address, port }, reply => {
        if (reply !== undefined && !isClosed()) sendAlone(fd, reply, port, address);
      });
    return true;
  }

  function answerAll(fd: number, serve: ServeQuery, isClosed: () => boolean): void {
    const received = libc.recvmmsg(fd, messages.at(0), batchSize, dontWait, none);
    let count = 0;
    let isOver = false;
    for (let index = 0; index < received; index += 1) {
      const [port, address] = [messages.port(index), messages.address(index)];
      // Port 0 is nobody's.
      if (port === 0) continue;
      serve(messages.received(index), 'udp', { address, port }, reply => {
        if (reply === undefined || isClosed()) return;
        if (isOver || !replies.put(count, reply, port, address)) sendAlone(fd, reply, port, address);
        else count += 1;
      });
    }
    isOver = true;
    // The one that is refused, for whatever reason, does not hold up those behind it.
    for (let sent = 0; sent < count; )
      sent += Math.max(1, libc.sendmmsg(fd, replies.at(sent), count - sent, dontWait));
  }

  return async (address, serve, isShared) => {
    const fd = sockets.bound(address, isShared);
    if (fd === undefined) throw await reasonAgainst(address, isShared);
    const failed = new AbortController();
    let isClosed = false;
    const closed = () => isClosed;
    const onReady = (hasError: boolean) => {
      const error = hasError ? sockets.takeError(fd) : 0;
      if (error !== 0) failed.abort(new Error(`the socket broke: errno ${error}`));
      // Where there are two, there are more; a call for many costs more than two for one.
      else if (answerOne(fd, serve, closed) && answerOne(fd, serve, closed)) answerAll(fd, serve, closed);
    };
    let unwatch: () => void;
    try {
      unwatch = loop.watch(fd, onReady);
    } catch (error) {
      libc.close(fd);
      throw error;
    }
    return {
      port: sockets.localAddress(fd).port,
      failed: failed.signal,
      close() {
        if (isClosed) return;
        isClosed = true;
        unwatch();
        libc.close(fd);
      },
    };
  };
}

/** Why an address cannot be had: Node is told what is not to be known here. */
async function reasonAgainst({ host, port }: Address, isShared: boolean): Promise<Error> {
  const socket = createSocket({ type: 'udp4', reusePort: isShared });
  try {
    return await new Promise<Error>(resolve => {
      socket.once('error', resolve);
      socket.bind({ address: host, port, exclusive: true }, () =>
        resolve(new Error('it could not be bound to a moment ago')),
      );
    });
  } finally {
    socket.close();
  }
}
