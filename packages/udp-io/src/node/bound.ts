import { createSocket } from 'node:dgram';
import { ipv4Number, ipv4Text } from '../ipv4.ts';
import { type BoundSocket, socketBufferBytes, type Udp } from '../udp.ts';

/**
 * What the kernel does not take, as while it looks for peers that are gone from the network, waits in memory; beyond this many
 * bytes it is dropped, as the network would.
 */
const unsentBytes = 1024 * 1024;

/** Binds a socket of `node:dgram`, which reads and sends one datagram at a time. An interface must have the address. */
export const bindByNode: Udp['bind'] = async (address, isShared, onDatagram) => {
  const socket = createSocket({
    type: 'udp4',
    reusePort: isShared,
    recvBufferSize: socketBufferBytes,
    sendBufferSize: socketBufferBytes,
    // Datagrams go to addresses; the default would put each on a queue of name look-ups.
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
  const bound: BoundSocket = {
    port: socket.address().port,
    failed: failed.signal,
    send(bytes, to) {
      if (isClosed || socket.getSendQueueSize() >= unsentBytes) return;
      // A copy, because Node keeps what the kernel does not take at once. No callback: it would cost a turn each, and that a
      // peer is gone is no failure of ours.
      socket.send(Buffer.from(bytes), to.port, ipv4Text(to.address));
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      socket.close();
    },
  };
  socket.on('error', error => failed.abort(error));
  socket.on('message', (message, { address: from, port }) => {
    if (port !== 0) onDatagram(message, { address: ipv4Number(from), port }, bound);
  });
  return bound;
};
