import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { ListenOptions } from 'node:net';
import { generalReason } from '@coold/errors';
import { createHttpEdge, type Logger, pause, type TlsPair } from '@coold/runtime';
import type { HandleRequest } from './rest.ts';

/** An HTTP server that callers cannot block. */
export interface HttpServer {
  /** Resolves with the address that it listens on. Rejects with the system's error, and may then be called again. */
  listen(where: ListenOptions): Promise<string>;
  /** Sets the certificate for new connections. */
  useTls(pair: TlsPair): void;
  /** Accepts no new connections. Requests in progress get `graceMs` before they are cut. */
  close(graceMs: number): Promise<void>;
}

export interface HttpLimits {
  /** The time for a request's header, from the beginning of its connection, in ms. */
  headersTimeoutMs: number;
  /** The time for a request's body, from the end of its header, in ms. Streamed bodies are exempt. */
  requestTimeoutMs: number;
  /** A caller that reads nothing of its answer for this long, in ms, is disconnected. */
  stalledReplyMs: number;
  /** Further connections are closed at once. */
  maxConnections: number;
}

export const defaultLimits: HttpLimits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  stalledReplyMs: 60_000,
  // Enough for every stream that coold serves at once, and for as many short calls.
  maxConnections: 2048,
};

const keepAliveTimeoutMs = 65_000;
const tlsHandshakeTimeoutMs = 10_000;

export function createHttpServer(options: {
  handle: HandleRequest;
  /** Undefined for plain HTTP. */
  tls: TlsPair | undefined;
  limits?: HttpLimits;
  log: Logger;
}): HttpServer {
  const { handle, tls, limits = defaultLimits, log } = options;
  const settings = {
    headersTimeout: limits.headersTimeoutMs,
    // The edge has timeouts per request; Node's would apply to every request alike.
    requestTimeout: 0,
    // How often headers are checked. Node's default of 30 s would be the real timeout.
    connectionsCheckingInterval: Math.min(1000, limits.headersTimeoutMs / 4),
    keepAliveTimeout: keepAliveTimeoutMs,
    // Detects a peer that vanished, however long its request takes.
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
  };
  const edge = createHttpEdge({
    errorBody: (status, message) => JSON.stringify({ error: message, reason: generalReason(status) }),
    bodyTimeoutMs: limits.requestTimeoutMs,
    stalledReplyMs: limits.stalledReplyMs,
  });
  const listener = (request: IncomingMessage, response: ServerResponse) =>
    handle(request, response, () => edge.leaveBody(request));
  const secure =
    tls === undefined
      ? undefined
      : createTlsServer({ ...settings, ...tls, handshakeTimeout: tlsHandshakeTimeoutMs }, listener);
  const server = secure ?? createServer(settings, listener);
  server.maxConnections = limits.maxConnections;
  server.on('clientError', (error, socket) => edge.answerMalformed(error, socket));
  edge.watch(server);
  // After it listens, a connection that could not be accepted, for example for lack of a descriptor, is not fatal.
  server.on('error', error => log.debug({ err: error }, 'listener'));

  return {
    listen: where =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(where, () => {
          server.off('error', reject);
          const address = server.address();
          if (typeof address !== 'object' || address === null) return resolve(String(address));
          const { address: host, port } = address;
          resolve(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);
        });
      }),
    useTls: pair => secure?.setSecureContext(pair),
    async close(graceMs) {
      if (!server.listening) return;
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      // A kept-alive connection is idle once its last answer was sent, and Node has no event for that.
      const sweep = setInterval(() => server.closeIdleConnections(), 20);
      const late = new AbortController();
      await Promise.race([closed, pause(graceMs, late.signal)]);
      late.abort();
      clearInterval(sweep);
      server.closeAllConnections();
      await closed;
    },
  };
}
