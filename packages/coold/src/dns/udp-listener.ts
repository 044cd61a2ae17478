import { createSocket } from 'node:dgram';
import type { Address } from '@coold/runtime';
import { ipv4Number } from './ipv4.ts';
import type { ServeQuery } from './serve-query.ts';

/** What holds an address; `failed` aborts when it broke by itself, with the error. */
export interface Listener {
  readonly port: number;
  readonly failed: AbortSignal;
  /** The address is free again once this returns. */
  close(): void;
}

/** For bursts: with the kernel's default, what arrives during a pause of some ms is lost. The kernel gives what it may. */
export const socketBufferBytes = 4 * 1024 * 1024;

/**
 * What the kernel does not take, as while clients are looked for that are gone from the bridge, waits in memory; beyond this
 * many bytes it is dropped, as the network would.
 */
const unsentBytes = 1024 * 1024;

/**
 * Answers over UDP on one address, of IPv4, with what Node has for it.
 *
 * @throws Error with the system's code when it cannot be had
 */
export async function listenUdp(address: Address, serve: ServeQuery): Promise<Listener> {
  const socket = createSocket({
    type: 'udp4',
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
    socket.bind({ address: address.host, port: address.port, exclusive: true }, () => {
      socket.off('error', fail);
      resolve();
    });
  });
  const failed = new AbortController();
  let isClosed = false;
  socket.on('error', error => failed.abort(error));
  socket.on('message', (message, { address: from, port }) => {
    // Port 0 is nobody's, and sending there would throw.
    if (port === 0) return;
    serve(message, 'udp', { address: ipv4Number(from), port }, reply => {
      if (reply === undefined || isClosed || socket.getSendQueueSize() >= unsentBytes) return;
      // Without a callback: it would cost a turn each, and that a client is gone is no failure of ours.
      socket.send(reply, port, from);
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
