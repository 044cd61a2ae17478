import { createServer, type Socket } from 'node:net';
import type { Address } from '@coold/runtime';
import { ipv4Number } from './ipv4.ts';
import type { ServeQuery } from './serve-query.ts';
import { createMessageReader, framed } from './tcp-frames.ts';
import type { Listener } from './udp-listener.ts';

export interface TcpLimits {
  /** Connections at once; a new one takes the place of the one that has been quiet for longest. */
  connections: number;
  /** For how long a connection may go without a whole query or an answer, in ms. */
  idleMs: number;
  /** Queries of one connection that wait for the upstream; beyond, no more are taken of it. */
  pending: number;
  /** Answers that a client has not taken yet, in bytes; beyond, it is cut off. */
  unsentBytes: number;
}

export const defaultTcpLimits: TcpLimits = {
  connections: 256,
  idleMs: 10_000,
  pending: 64,
  unsentBytes: 256 * 1024,
};

/** Answers over TCP on one address, each query as soon as its answer is there (RFC 7766). @throws Error with a code */
export async function listenTcp(
  { host, port }: Address,
  serve: ServeQuery,
  limits: TcpLimits = defaultTcpLimits,
): Promise<Listener> {
  /** In the order of their last activity. */
  const connections = new Set<Socket>();
  // Half open: a client may end its side behind its last query, and has its answers to come.
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
    server.listen({ host, port, exclusive: true }, () => {
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
  /** What is answered meanwhile has not waited. */
  let isTaking = false;
  /** The client will ask no more. */
  let isLast = false;
  // Of our own, since the socket's counts single bytes as activity.
  const idle = setTimeout(() => socket.destroy(), limits.idleMs);
  const active = () => {
    idle.refresh();
    onActivity();
  };
  const send = (reply: Buffer | undefined) => {
    if (socket.destroyed) return;
    // What deserves no answer is no client of DNS either.
    if (reply === undefined) {
      socket.destroy();
      return;
    }
    socket.write(framed(reply));
    if (socket.writableLength > limits.unsentBytes) socket.destroy();
    active();
  };
  /** Of the last piece that was read; at most its 64 KiB. */
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
  // A client that is gone is no failure of ours.
  socket.on('error', () => {});
  socket.once('close', () => clearTimeout(idle));
}
