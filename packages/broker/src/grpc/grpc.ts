import {
  createSecureServer,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { agentStream } from '@coold/proto';
import { type Address, type Logger, type TlsPair, UnusableError } from '@coold/runtime';
import { type CallHandler, openCall, refuseForeign } from './agent-call.ts';
import { createConnections } from './connections.ts';
import { grpcStatus } from './grpc-status.ts';

export interface GrpcListener {
  /** The address that it listens on, with the kernel's choice of port when 0 was requested. */
  address: string;
  /** Uses another certificate for new connections. Does nothing without TLS. */
  useTls(pair: TlsPair): void;
  /** Releases the port and accepts no more streams. Existing ones go on. */
  refuseNew(): void;
  /** Cuts every connection. */
  close(): void;
  connections(): { open: number; idle: number };
}

export interface GrpcOptions {
  bind: Address;
  /** Undefined for plain HTTP/2. */
  tls: TlsPair | undefined;
  handler: CallHandler;
  keepalive: Keepalive;
  log: Logger;
  /** A connection without a host's stream for this many ms is cut. */
  idleConnectionMs?: number;
  /** The most connections without a host's stream. Beyond this the oldest are cut. */
  maxIdleConnections?: number;
}

/** HTTP/2 PINGs of our own, in ms (docs/contract.md §1: every 30 s, given up after 10 s). */
export interface Keepalive {
  everyMs: number;
  timeoutMs: number;
}

/** Longer than a host has for its Hello, so that a late host is told so. */
const defaultIdleConnectionMs = 15_000;
/** A whole fleet may dial at once after a restart. Each connection is accepted within milliseconds of its turn. */
const defaultMaxIdleConnections = 8192;
/**
 * Connections that the kernel holds until they are accepted; others retry after a second. All held connections are
 * accepted at once, before anybody is answered, so this paces a fleet that reconnects. Measured with 4,000 hosts: at
 * 4096 the slowest health call took 1.2 s and all were back after 14 s; at 128, 0.35 s and 51 s.
 */
const backlog = 512;

/**
 * The HTTP/2 window of a host. With the default of 64 KiB, an answer of 4 MiB takes 64 round trips, which from another
 * continent is the whole dispatch timeout. Data is read at once, so the window costs no memory.
 */
const windowBytes = 1024 * 1024;

/**
 * Serves the one method of the one service on HTTP/2 directly. A gRPC library's server adds another stream and its
 * buffers to each HTTP/2 stream, and a timer and a wake-up to each PING. Measured with 5,000 hosts: grpc-js took 47 KB
 * per host after a dispatch to each and 2.0 % of a core when idle; this takes 34 KB and 0.9 %. Of the 34 KB, nghttp2
 * reports 23, of which a buffer of 16 for outgoing frames is hardly touched; a header table of size 0 was measured to
 * save nothing.
 *
 * @throws Error when the address cannot be bound or the certificate pair is not usable
 */
export async function listenGrpc(options: GrpcOptions): Promise<GrpcListener> {
  const { bind, tls, handler, keepalive, log } = options;
  const http2 = {
    settings: {
      enablePush: false,
      initialWindowSize: windowBytes,
      // A host has one stream, and a second one while it replaces the first.
      maxConcurrentStreams: 8,
    },
    // Streams reset by a client before they are answered: CVE-2023-44487. A few are a host that changed its mind.
    streamResetBurst: 32,
    streamResetRate: 1,
    maxSessionInvalidFrames: 32,
    maxSessionRejectedStreams: 32,
    // The most header fields of a request; a coold sends ten.
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
  // Before Node's own listener, which creates the session at the same moment.
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
      reject(new UnusableError(`BROKER_GRPC_BIND=${host}:${bind.port}: ${error.message}`, { cause: error }));
    });
    server.listen({ host: bind.host, port: bind.port, backlog }, () =>
      resolve((server.address() as AddressInfo).port),
    );
  });
  server.on('error', error => log.error({ err: error }, 'gRPC listener reported an error and goes on'));
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
