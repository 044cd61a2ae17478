import {
  createSecureServer,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { agentStream } from '@coold/proto';
import type { Address, Logger, TlsPair } from '@coold/runtime';
import { type CallHandler, openCall, refuseForeign } from './agent-call.ts';
import { createConnections } from './connections.ts';
import { grpcStatus } from './grpc-status.ts';

export interface GrpcListener {
  /** Where it listens; the port is the one the kernel chose when 0 was asked for. */
  address: string;
  /** Shows new connections another certificate; those that live go on. Nothing where there is no TLS. */
  useTls(pair: TlsPair): void;
  /** Lets go of the port and takes no more streams; those that live go on. */
  refuseNew(): void;
  /** Cuts every connection. */
  close(): void;
  connections(): { open: number; idle: number };
}

export interface GrpcOptions {
  bind: Address;
  /** Undefined: plain HTTP/2. */
  tls: TlsPair | undefined;
  handler: CallHandler;
  keepalive: Keepalive;
  log: Logger;
  /** A connection that has carried no host's stream for so many ms is cut. */
  idleConnectionMs?: number;
  /** Connections without a host's stream at once; of more than these the oldest are cut. */
  maxIdleConnections?: number;
}

/** HTTP/2 PINGs of our own, in ms (docs/contract.md §1: every 30 s, given up after 10 s). */
export interface Keepalive {
  everyMs: number;
  timeoutMs: number;
}

/** Longer than a host has for its Hello, so that one that is late is told so. */
const defaultIdleConnectionMs = 15_000;
/** All of a fleet may dial at once after a restart; each is taken in within milliseconds of its turn. */
const defaultMaxIdleConnections = 8192;
/**
 * Connections that the kernel holds until they are accepted; the others try again after a second. All that it holds are
 * accepted in one go, before anybody is answered, so this is what paces a fleet that comes back. Measured with 4,000
 * hosts: at 4096 the slowest health call took 1.2 s and all were back after 14 s, at 128 0.35 s and 51 s.
 */
const backlog = 512;

/**
 * What a host may send before it is told that it was read: at the 64 KiB of HTTP/2 an answer of 4 MiB takes 64 round trips,
 * which from another continent is the whole dispatch timeout. What comes is read at once, so it costs no memory.
 */
const windowBytes = 1024 * 1024;

/**
 * The one method of the one service, on HTTP/2 itself. A gRPC library's server puts another stream and its buffers on each
 * HTTP/2 stream, and a timer and a wake-up on each PING. Measured with 5,000 hosts: on grpc-js 47 KB a host after a
 * dispatch to each and 2.0 % of a core when idle, so 34 KB and 0.9 %. Of the 34, nghttp2 says that it holds 23, of which a
 * buffer of 16 for outgoing frames is hardly touched; a header table of size 0 was measured to save nothing.
 *
 * @throws Error when the address cannot be bound or the certificate pair not used
 */
export async function listenGrpc(options: GrpcOptions): Promise<GrpcListener> {
  const { bind, tls, handler, keepalive, log } = options;
  const http2 = {
    settings: {
      enablePush: false,
      initialWindowSize: windowBytes,
      // A host has one stream, and a second for the moment in which it replaces the first.
      maxConcurrentStreams: 8,
    },
    // Streams that a client resets before it is answered: CVE-2023-44487. A few are a host that changed its mind.
    streamResetBurst: 32,
    streamResetRate: 1,
    maxSessionInvalidFrames: 32,
    maxSessionRejectedStreams: 32,
    // Header fields of a request; a coold sends ten.
    maxHeaderListPairs: 64,
  };
  const secure =
    tls && createSecureServer({ ...http2, ...tls, handshakeTimeout: 10_000, ALPNProtocols: ['h2'] });
  const server = secure ?? createServer(http2);
  const connections = createConnections({
    keepalive,
    idleMs: options.idleConnectionMs ?? defaultIdleConnectionMs,
    maxIdle: options.maxIdleConnections ?? defaultMaxIdleConnections,
    log,
  });
  let refusing = false;
  // Before Node's own listener, which makes the session in the same moment.
  server.prependListener('connection', (socket: Socket) => connections.opened(socket));
  server.on('session', (session: ServerHttp2Session) => {
    connections.spoke(session);
    if (!session.destroyed) session.setLocalWindowSize(windowBytes);
  });
  server.on('sessionError', (error: Error) => log.debug({ err: error }, 'HTTP/2 connection failed'));
  server.on('tlsClientError', (error: Error) => log.debug({ err: error }, 'TLS handshake failed'));
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const { session } = stream;
    const place = session === undefined ? undefined : connections.placeOf(session);
    if (place === undefined) stream.destroy();
    else if (!refuseForeign(stream, headers, agentStream.path)) {
      const serve = refusing ? refuseStopping : handler;
      openCall(stream, headers, place, serve);
    }
  });
  const host = bind.host.includes(':') ? `[${bind.host}]` : bind.host;
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', error => {
      connections.close();
      reject(new Error(`BROKER_GRPC_BIND=${host}:${bind.port}: ${error.message}`, { cause: error }));
    });
    server.listen({ host: bind.host, port: bind.port, backlog }, () =>
      resolve((server.address() as AddressInfo).port),
    );
  });
  server.on('error', error => log.error({ err: error }, 'gRPC listener failed; it goes on'));
  return {
    address: `${host}:${port}`,
    useTls: pair => secure?.setSecureContext(pair),
    refuseNew() {
      refusing = true;
      server.close();
    },
    close() {
      server.close();
      connections.close();
    },
    connections: () => connections.counts(),
  };
}

const refuseStopping: CallHandler = call => {
  call.end(grpcStatus.UNAVAILABLE, 'broker is stopping');
  return { message() {}, finished() {}, closed() {} };
};
