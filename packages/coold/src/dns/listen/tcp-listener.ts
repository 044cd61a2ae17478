import { createServer, type Socket } from 'node:net';
import type { Address } from '@coold/runtime';
import { ipv4Number } from '@coold/udp-io';
import { createMessageReader, framed } from '../tcp-frames.ts';
import type { ServeQuery } from './serve-query.ts';
import type { Listener } from './udp-listener.ts';

export interface TcpLimits {
  /** The most connections. A new one replaces the one that has been idle for longest. */
  connections: number;
  /** How long a connection may go without a complete query or an answer, in ms. */
  idleMs: number;
  /** Queries of one connection that wait for the upstream. At this number, reading pauses. */
  pending: number;
  /** Bytes of answers that a client has not read. Beyond this, it is disconnected. */
  unsentBytes: number;
}

const defaultTcpLimits: TcpLimits = {
  connections: 256,
  idleMs: 10_000,
  pending: 64,
  unsentBytes: 256 * 1024,
};

export interface TcpOptions {
  limits?: TcpLimits;
  /**
   * Returns a socket bound to an address, whether or not an interface has it. When absent, Node binds, so an interface
   * must have it.
   *
   * @returns undefined when the kernel gives none
   */
  bind?: ((address: Address) => number | undefined) | undefined;
}

/** Answers over TCP on one address, each query as soon as its answer is there (RFC 7766). @throws Error with a code */
export async function listenTcp(
  { host, port }: Address,
  serve: ServeQuery,
  { limits = defaultTcpLimits, bind }: TcpOptions = {},
): Promise<Listener> {
  /** In order of last activity. */
  const connections = new Set<Socket>();
  // Half open: a client may end its side after its last query and still gets its answers.
  const server = createServer({ noDelay: true, allowHalfOpen: true }, socket => {
    const [quietest] = connections;
    if (connections.size >= limits.connections) quietest?.destroy();
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    serveConnection(socket, serve, limits, () => {
      if (connections.delete(socket)) connections.add(socket);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // Without a socket from `bind`, Node opens one or says why it cannot.
    const fd = bind?.({ host, port });
    server.listen(fd === undefined ? { host, port, exclusive: true } : { fd }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const failed = new AbortController();
  server.on('error', error => failed.abort(error));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    failed: failed.signal,
    close() {
      server.close();
      for (const socket of connections) socket.destroy();
    },
  };
}

function serveConnection(socket: Socket, serve: ServeQuery, limits: TcpLimits, onActivity: () => void): void {
  const peer = { address: ipv4Number(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 };
  let pending = 0;
  /** Answers given during reading did not wait. */
  let isTaking = false;
  /** The client will send no more queries. */
  let isLast = false;
  // Our own timer, because the socket's counts single bytes as activity.
  const idle = setTimeout(() => socket.destroy(), limits.idleMs);
  const active = () => {
    idle.refresh();
    onActivity();
  };
  const send = (reply: Buffer | undefined) => {
    if (socket.destroyed) return;
    // A message that deserves no answer does not come from a DNS client.
    if (reply === undefined) {
      socket.destroy();
      return;
    }
    socket.write(framed(reply));
    if (socket.writableLength > limits.unsentBytes) socket.destroy();
    active();
  };
  /** Complete messages that are not being answered yet. They come from one read, of at most 64 KiB. */
  let received: Buffer[] = [];
  const read = createMessageReader(message => void received.push(message));
  const take = () => {
    let taken = 0;
    isTaking = true;
    for (const message of received) {
      if (socket.destroyed || pending >= limits.pending) break;
      taken += 1;
      active();
      pending += 1;
      serve(message, 'tcp', peer, reply => {
        pending -= 1;
        send(reply);
        if (!isTaking) take();
      });
    }
    isTaking = false;
    received = received.slice(taken);
    if (pending >= limits.pending) socket.pause();
    else socket.resume();
    if (isLast && pending === 0 && received.length === 0) socket.end();
  };
  socket.on('data', (chunk: Buffer) => {
    read(chunk);
    take();
  });
  socket.once('end', () => {
    isLast = true;
    take();
  });
  // A client that disconnects is no error.
  socket.on('error', () => {});
  socket.once('close', () => clearTimeout(idle));
}
