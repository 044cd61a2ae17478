import { createSocket } from 'node:dgram';
import type { Address } from '@coold/runtime';
import type { BoundSocket, OnDatagram, Peer, Udp } from '../udp.ts';
import { createDatagrams, maxDatagramBytes } from './datagrams.ts';
import type { EpollLoop } from './epoll-loop.ts';
import { dontWait, type KernelSockets } from './kernel-sockets.ts';
import type { Libc } from './libc.ts';

const none = 0n;
/** The most datagrams per call. */
const batchSize = 32;
/** Longer datagrams, such as some answers of an upstream, are sent alone. */
const batchedBytes = 4096;

/**
 * Creates `bind` for all sockets of one thread; each call reuses the memory. One system call reads what waits on a
 * socket, and another sends the replies, up to 32 datagrams. What the kernel does not accept is lost, as it may be on
 * the network.
 */
export function createBind(libc: Libc, sockets: KernelSockets, loop: EpollLoop): Udp['bind'] {
  const room = (count: number, bytesEach: number) =>
    createDatagrams(libc.addressOf, { count, bytesEach, hasAddress: true });
  const received = room(batchSize, maxDatagramBytes);
  const batch = room(batchSize, batchedBytes);
  const alone = room(1, maxDatagramBytes);
  /** The socket whose datagrams are collected in `batch`, and their number. */
  let gathering: BoundSocket | undefined;
  let gathered = 0;

  function send(fd: number, socket: BoundSocket, bytes: Buffer, { port, address }: Peer): void {
    const fits = socket === gathering && gathered < batchSize && batch.put(gathered, bytes, port, address);
    if (fits) gathered += 1;
    else if (alone.put(0, bytes, port, address)) libc.sendmsg(fd, alone.at(0), dontWait);
  }

  /** Receives one datagram. @returns false when there is none */
  function receiveOne(fd: number, onDatagram: OnDatagram, socket: BoundSocket): boolean {
    const bytes = libc.recvmsg(fd, received.at(0), dontWait);
    if (bytes < 0) return false;
    const [port, address] = [received.port(0), received.address(0)];
    if (port !== 0) onDatagram(received.receivedOf(0, bytes), { address, port }, socket);
    return true;
  }

  function receiveAll(
    fd: number,
    onDatagram: OnDatagram,
    socket: BoundSocket,
    isClosed: () => boolean,
  ): void {
    const count = libc.recvmmsg(fd, received.at(0), batchSize, dontWait, none);
    gathering = socket;
    gathered = 0;
    try {
      for (let index = 0; index < count && !isClosed(); index += 1) {
        const [port, address] = [received.port(index), received.address(index)];
        if (port !== 0) onDatagram(received.received(index), { address, port }, socket);
      }
    } finally {
      gathering = undefined;
    }
    // Closed meanwhile: its descriptor may belong to another file now.
    if (isClosed()) return;
    // A datagram that the kernel refuses, for whatever reason, does not hold up those after it.
    for (let sent = 0; sent < gathered; )
      sent += Math.max(1, libc.sendmmsg(fd, batch.at(sent), gathered - sent, dontWait));
  }

  return async (address, isShared, onDatagram) => {
    const fd = sockets.bound(address, isShared);
    if (fd === undefined) throw await reasonAgainst(address, isShared);
    const failed = new AbortController();
    let isClosed = false;
    const closed = () => isClosed;
    const socket: BoundSocket = {
      port: sockets.localAddress(fd).port,
      failed: failed.signal,
      send(bytes, to) {
        if (!isClosed) send(fd, socket, bytes, to);
      },
      close() {
        if (isClosed) return;
        isClosed = true;
        unwatch?.();
        libc.close(fd);
      },
    };
    let unwatch: (() => void) | undefined;
    try {
      unwatch = loop.watch(fd, hasError => {
        const error = hasError ? sockets.takeError(fd) : 0;
        if (error !== 0) failed.abort(new Error(`the socket broke: errno ${error}`));
        // Two waiting datagrams usually mean more; a call for many costs more than two calls for one.
        else if (
          receiveOne(fd, onDatagram, socket) &&
          !isClosed &&
          receiveOne(fd, onDatagram, socket) &&
          !isClosed
        )
          receiveAll(fd, onDatagram, socket, closed);
      });
    } catch (error) {
      socket.close();
      throw error;
    }
    return socket;
  };
}

/** Finds out why an address cannot be bound: the errno is lost here, so Node tries as well and reports it. */
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
