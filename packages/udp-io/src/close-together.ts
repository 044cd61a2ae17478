import type { Udp } from './udp.ts';

/**
 * Remembers open sockets, so that all of them can be closed at once.
 *
 * @param end is called once the last socket is closed
 */
export function closeTogether({ bind, connect }: Pick<Udp, 'bind' | 'connect'>, end: () => void): Udp {
  const open = new Set<{ close(): void }>();
  const closing = (socket: { close(): void }) => {
    open.add(socket);
    return () => {
      open.delete(socket);
      socket.close();
    };
  };
  return {
    async bind(address, isShared, onDatagram) {
      const socket = await bind(address, isShared, onDatagram);
      return { ...socket, close: closing(socket) };
    },
    connect(to, events) {
      const socket = connect(to, events);
      return { send: socket.send, close: closing(socket) };
    },
    close() {
      for (const socket of open) socket.close();
      open.clear();
      end();
    },
  };
}
