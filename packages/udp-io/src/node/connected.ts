import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { ipv4Number } from '../ipv4.ts';
import type { Connect } from '../udp.ts';

const isRefusal = ({ code }: NodeJS.ErrnoException) => code === 'ECONNREFUSED';

/** Opens a connected socket of `node:dgram`. */
export const connectByNode: Connect = ({ host, port }, { onOpen, onMessage, onError }) => {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  let isClosed = false;
  socket.on('error', error => onError(isRefusal(error)));
  socket.on('message', onMessage);
  // Called back with the error too, such as that no route leads there: it is not emitted then.
  socket.connect(port, host, (error?: Error) => {
    if (isClosed) return;
    if (error) {
      onError(false);
      return;
    }
    const local = socket.address();
    onOpen(ipv4Number(local.address.replace(/^::ffff:/, '')), local.port);
  });
  return {
    send(message, onFailed) {
      if (isClosed) {
        onFailed(false);
        return;
      }
      // A copy, because Node keeps what the kernel does not take at once.
      socket.send(Buffer.from(message), error => {
        if (error !== null) onFailed(isRefusal(error));
      });
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      socket.close();
    },
  };
};
