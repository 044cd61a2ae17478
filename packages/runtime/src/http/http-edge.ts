import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface HttpEdgeOptions {
  /** Returns the JSON text of an error, in the form of the rest of the server. */
  errorBody(status: number, message: string): string;
  /** How long the body of a request may take, in ms. After that it is answered with 408. `requestTimeout` of the server must be 0. */
  bodyTimeoutMs: number;
  /** A connection whose caller reads nothing of a reply for this long, in ms, is closed. */
  stalledReplyMs: number;
  /** How long, in ms, a caller may go on sending after the last answer on its connection. Default 2000. */
  lingerMs?: number;
}

/**
 * Protects an HTTP server where its handlers cannot: against bytes that are no request, bodies that never end, and callers
 * that do not read their reply. A reply without unread bytes may be idle without limit.
 */
export interface HttpEdge {
  /** For the event `clientError`: answers on the bare socket what Node's parser refused. */
  answerMalformed(error: NodeJS.ErrnoException, socket: Duplex): void;
  /** Watches the requests of a server, until it closes. */
  watch(server: Server | TlsServer): void;
  /** Removes the time limit of a request's body. Its handler watches the body instead. */
  leaveBody(request: IncomingMessage): void;
  /** Resolves when every reply under way has been written or cut off, after `graceMs` (in ms) at the latest. */
  settled(graceMs: number): Promise<void>;
}

const messages = {
  400: 'not an HTTP request',
  405: 'CONNECT is for proxies',
  408: 'request timeout',
  431: 'headers too large',
} as const;

/**
 * One request and its reply. Its fields are cleared when it is over: when a Set grows, its old table becomes garbage, and V8's
 * young collections keep everything alive that such a table refers to once it is in the old generation.
 */
interface Exchange {
  request: IncomingMessage | undefined;
  response: ServerResponse | undefined;
  /** When the body must be complete, by the monotonic clock in ms. undefined: no limit. */
  bodyDue: number | undefined;
}

export function createHttpEdge(options: HttpEdgeOptions): HttpEdge {
  const { errorBody, bodyTimeoutMs, stalledReplyMs, lingerMs = 2000 } = options;
  /** The exchanges whose reply is under way, or whose body may still arrive. */
  const exchanges = new Set<Exchange>();
  let underWay = 0;
  const latest = new WeakMap<Duplex, Exchange>();
  const waiting = new Set<() => void>();

  function answerBare(status: keyof typeof messages, socket: Duplex): void {
    const reply = latest.get(socket)?.response;
    // In the middle of a reply, a second one would corrupt the first.
    if (!socket.writable || (reply?.headersSent === true && !reply.writableFinished)) {
      socket.destroy();
      return;
    }
    const body = errorBody(status, messages[status]);
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
      // The other end may never close the connection.
      () => socket.destroy(),
    );
  }

  function refuseLateBodies(): void {
    const now = performance.now();
    for (const exchange of exchanges) {
      const { request, response, bodyDue } = exchange;
      if (request === undefined || bodyDue === undefined) continue;
      const isOver = request.complete || request.destroyed;
      if (!isOver && now < bodyDue) continue;
      exchange.bodyDue = undefined;
      if (response?.closed === true) exchanges.delete(exchange);
      if (isOver) continue;
      const { socket } = request;
      // The request was answered before its body ended, so there is nothing more to answer.
      if (latest.get(socket)?.response?.headersSent === true) socket.destroy();
      else answerBare(408, socket);
    }
  }

  /**
   * Closes a connection gracefully. Closing a socket while the caller still sends would reset it, and the caller might never
   * see the answer. So our half is closed first, and further input is discarded for a while.
   */
  function linger(request: IncomingMessage): void {
    const { socket } = request;
    const cut = setTimeout(() => socket.destroy(), lingerMs);
    request.once('close', () => socket.destroy());
    socket.once('close', () => clearTimeout(cut));
    socket.end();
    // The handler may have stopped reading in the middle of the body.
    request.removeAllListeners('readable').removeAllListeners('data').resume();
  }

  /** Replaces destroySoon, which Node calls after the last answer. Called once for each connection. */
  function lingerAtEnd(socket: Socket): void {
    const close = socket.destroySoon.bind(socket);
    socket.destroySoon = () => {
      const request = latest.get(socket)?.request;
      if (request === undefined || request.complete || socket.destroyed) close();
      else linger(request);
    };
  }

  function begin(request: IncomingMessage, response: ServerResponse): void {
    const exchange: Exchange = { request, response, bodyDue: performance.now() + bodyTimeoutMs };
    if (!latest.has(request.socket)) lingerAtEnd(request.socket);
    latest.set(request.socket, exchange);
    exchanges.add(exchange);
    underWay += 1;
    // The timer of the socket, since it notices when the kernel accepts a part of a large write.
    response.setTimeout(stalledReplyMs, () => {
      if (response.writableLength > 0) response.destroy();
    });
    response.once('close', () => {
      underWay -= 1;
      if (request.complete) forget(exchange);
      else if (exchange.bodyDue === undefined) exchanges.delete(exchange);
      if (underWay === 0) for (const settle of waiting) settle();
    });
  }

  function forget(exchange: Exchange): void {
    exchanges.delete(exchange);
    exchange.request = undefined;
    exchange.response = undefined;
  }

  return {
    answerMalformed(error, socket) {
      if (error.code === 'ECONNRESET') socket.destroy();
      else answerBare(statusOfParser(error.code), socket);
    },
    watch(server) {
      // Before all other listeners, since a handler may call leaveBody at once.
      server.prependListener('request', begin);
      // Without a listener, Node would answer 417 without a body, bypassing every handler.
      server.on('checkExpectation', (request, response) => void server.emit('request', request, response));
      // Without a listener, Node would close the connection without an answer. From here on, errors of the socket are ours to handle.
      server.on('connect', (_request, socket) => {
        socket.on('error', () => socket.destroy());
        answerBare(405, socket);
      });
      const sweep = setInterval(refuseLateBodies, Math.min(1000, bodyTimeoutMs / 4));
      sweep.unref();
      server.once('close', () => clearInterval(sweep));
    },
    leaveBody(request) {
      const exchange = latest.get(request.socket);
      if (exchange?.request === request) exchange.bodyDue = undefined;
    },
    async settled(graceMs) {
      if (underWay === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, graceMs);
      waiting.add(resolve);
      await promise;
      waiting.delete(resolve);
      clearTimeout(timer);
    },
  };
}

function statusOfParser(code: string | undefined): keyof typeof messages {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return 431;
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 408;
    default:
      return 400;
  }
}
