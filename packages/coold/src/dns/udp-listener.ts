import { createSocket } from 'node:dgram';
import type { Address } from '@coold/runtime';
import type { ServeQuery } from './serve-query.ts';

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
 * Answers over UDP on one address.
 *
 * @param isShared others of this process listen there too: the kernel gives each client's socket to one of them
 * @throws Error with the system's code when it cannot be had
 */
export async function listenUdp(
  { host, port }: Address,
  serve: ServeQuery,
  isShared = false,
): Promise<Listener> {
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
    socket.once('error', fail);
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.off('error', fail);
      resolve();
    });
  });
  const failed = new AbortController();
  let isClosed = false;
  socket.on('error', error => failed.abort(error));
  socket.on('message', (message, peer) => {
    // Port 0 is nobody's, and sending there would throw.
    if (peer.port === 0) return;
    serve(message, 'udp', peer, reply => {
      // Without a callback: it would cost a turn each, and that a client is gone is no failure of ours.
      if (reply !== undefined && !isClosed) socket.send(reply, peer.port, peer.address);
    });
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
