import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { ipv4Number } from './ipv4.ts';
import type { OpenChannel } from './upstream-channel.ts';

const isRefusal = ({ code }: NodeJS.ErrnoException) => code === 'ECONNREFUSED';

/** With what Node has for it. */
export const openNodeChannel: OpenChannel = ({ host, port }, { onOpen, onMessage, onError }) => {
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
      socket.send(message, error => {
        if (error !== null) onFailed(isRefusal(error));
      });
    },
    close() {
      isClosed = true;
      socket.close();
    },
  };
};
