import { createSocket } from 'node:dgram';
import type { Address } from '@coold/runtime';
import type { DatagramBatches } from './datagram-batches.ts';
import type { Peer, ServeQuery } from './serve-query.ts';

/** What holds an address; `failed` aborts when it broke by itself, with the error. */
export interface Listener {
  readonly port: number;
  readonly failed: AbortSignal;
  /** The address is free again once this returns. */
  close(): void;
}

/** For bursts: with the kernel's default, what arrives during a pause of some ms is lost. The kernel gives what it may. */
const socketBufferBytes = 4 * 1024 * 1024;

/**
 * What the kernel does not take, as while clients are looked for that are gone from the bridge, waits in memory; beyond this
 * many bytes it is dropped, as the network would.
 */
const unsentBytes = 1024 * 1024;

export interface ListenUdpOptions {
  /** Others of this process listen there too: the kernel gives each client's socket to one of them. */
  isShared?: boolean;
  /** How bursts are taken; undefined: one message after the other. */
  batches?: DatagramBatches | undefined;
}

/**
 * Answers over UDP on one address, of IPv4.
 *
 * @throws Error with the system's code when it cannot be had
 */
export async function listenUdp(
  address: Address,
  serve: ServeQuery,
  { isShared = false, batches }: ListenUdpOptions = {},
): Promise<Listener> {
  const bound = batches?.bind(address, isShared);
  const socket = createSocket({
    type: 'udp4',
    reusePort: isShared,
    recvBufferSize: socketBufferBytes,
    sendBufferSize: socketBufferBytes,
    // Answers go to addresses; the default would put each on a queue of name look-ups.
    lookup: (hostname, _options, found) => found(null, hostname, 4),
  });
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error) => {
      socket.close();
      reject(error);
    };
    const done = () => {
      socket.off('error', fail);
      resolve();
    };
    socket.once('error', fail);
    if (bound === undefined)
      socket.bind({ address: address.host, port: address.port, exclusive: true }, done);
    else {
      socket.bind({ fd: bound.fd }, done);
      bound.keepAddress();
    }
  });
  const failed = new AbortController();
  let isClosed = false;
  // Without a callback: it would cost a turn each, and that a client is gone is no failure of ours.
  const send = (reply: Buffer, peer: Peer) => {
    if (!isClosed && socket.getSendQueueSize() < unsentBytes) socket.send(reply, peer.port, peer.address);
  };
  socket.on('error', error => failed.abort(error));
  socket.on('message', (message, peer) => {
    // Port 0 is nobody's, and sending there would throw.
    if (peer.port !== 0)
      serve(message, 'udp', peer, reply => {
        if (reply !== undefined) send(reply, peer);
      });
    // Where there is one, there are more.
    if (bound !== undefined && !isClosed) batches?.drain(bound.fd, serve, send);
  });
  return {
    port: socket.address().port,
    failed: failed.signal,
    close() {
      if (isClosed) return;
      isClosed = true;
      socket.close();
    },
  };
}
