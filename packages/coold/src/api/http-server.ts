import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { ListenOptions } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { createHttpEdge, type Logger, type TlsPair } from '@coold/runtime';
import type { HandleRequest } from './rest.ts';

/** An HTTP server that callers cannot hold up. */
export interface HttpServer {
  /** Rejects with the system's error; may be called again then. Resolves with what it listens on. */
  listen(where: ListenOptions): Promise<string>;
  /** Connections from now on get this certificate. */
  useTls(pair: TlsPair): void;
  /** No new connections; requests under way get `graceMs`, then they are cut. */
  close(graceMs: number): Promise<void>;
}

export interface HttpLimits {
  /** A request's head, from the first moment of its connection, in ms. */
  headersTimeoutMs: number;
  /** A request's body, from the end of its head, in ms; of those that are not read as they come. */
  requestTimeoutMs: number;
  /** A caller that takes nothing of its answer for this long, in ms, is not waited for. */
  stalledReplyMs: number;
  /** One more is closed at once. */
  maxConnections: number;
}

export const defaultLimits: HttpLimits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  stalledReplyMs: 60_000,
  maxConnections: 1024,
};

const keepAliveTimeoutMs = 65_000;
const tlsHandshakeTimeoutMs = 10_000;

export function createHttpServer(options: {
  handle: HandleRequest;
  /** Undefined: plain HTTP. */
  tls: TlsPair | undefined;
  limits?: HttpLimits;
  log: Logger;
}): HttpServer {
  const { handle, tls, limits = defaultLimits, log } = options;
  const settings = {
    headersTimeout: limits.headersTimeoutMs,
    // The edge's instead: Node's is for every request alike.
    requestTimeout: 0,
    // How often heads are looked at; Node's own 30 s would be the real timeout.
    connectionsCheckingInterval: Math.min(1000, limits.headersTimeoutMs / 4),
    keepAliveTimeout: keepAliveTimeoutMs,
    // A peer that vanished is noticed, however long its request takes.
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
  };
  const edge = createHttpEdge({
    errorBody: (_status, message) => JSON.stringify({ error: message }),
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
  server.on('clientError', edge.answerMalformed);
  edge.watch(server);
  // After it listens: a connection that could not be accepted, for want of a descriptor say, is not the end.
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
      // A connection kept alive is idle as soon as its last answer is out; nobody else tells us when.
      const sweep = setInterval(() => server.closeIdleConnections(), 20);
      const late = new AbortController();
      await Promise.race([closed, delay(graceMs, undefined, { signal: late.signal }).catch(() => {})]);
      late.abort();
      clearInterval(sweep);
      server.closeAllConnections();
      await closed;
    },
  };
}
