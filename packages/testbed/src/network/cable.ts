import { connect, createServer, type Socket } from 'node:net';

/** A TCP proxy between two programs that a test can cut like a cable: nothing passes, and neither end notices. */
export interface Cable extends AsyncDisposable {
  port: number;
  cut(): void;
  heal(): void;
}

export async function layCable(target: { host: string; port: number }): Promise<Cable> {
  const sockets = new Set<Socket>();
  let isCut = false;
  const hold = (socket: Socket) => {
    sockets.add(socket);
    if (isCut) socket.pause();
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => {});
  };
  const server = createServer(near => {
    const far = connect(target);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      hold(from);
      from.on('data', chunk => to.write(chunk));
      from.on('end', () => to.end());
      from.on('close', () => {
        // An end that dies behind a cut cable is not heard of on the other side.
        if (!isCut) to.destroy();
      });
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve());
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return {
    port: address.port,
    cut() {
      isCut = true;
      for (const socket of sockets) socket.pause();
    },
    heal() {
      isCut = false;
      for (const socket of sockets) socket.resume();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise(resolve => server.close(resolve));
    },
  };
}
