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
  /** How long, in ms, a caller may go on sending after the last answer on its connection. Default: 2000 */
  lingerMs?: number;
}

/**
 * Protects an HTTP server where its handlers cannot: against bytes that are not a request, bodies that never end, and
 * callers that do not read their reply. A reply without unread bytes may be idle without limit.
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

const defaultLingerMs = 2000;

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
  return new Connections(options);
}

/** The requests and replies under way on a server's connections. */
class Connections implements HttpEdge {
  readonly #options: HttpEdgeOptions;
  /** The exchanges whose reply is under way, or whose body may still arrive. */
  readonly #exchanges = new Set<Exchange>();
  /** The number of replies under way. */
  #underWay = 0;
  readonly #latest = new WeakMap<Duplex, Exchange>();
  /** Called when no reply is under way. */
  readonly #waiting = new Set<() => void>();

  constructor(options: HttpEdgeOptions) {
    this.#options = options;
  }

  answerMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
    if (error.code === 'ECONNRESET') socket.destroy();
    else this.#answerBare(statusOfParser(error.code), socket);
  }

  watch(server: Server | TlsServer): void {
    // Before all other listeners, since a handler may call leaveBody at once.
    server.prependListener('request', (request, response) => this.#begin(request, response));
    // Without a listener, Node would answer 417 without a body, bypassing every handler.
    server.on('checkExpectation', (request, response) => void server.emit('request', request, response));
    // Without a listener, Node would close the connection without an answer. From here on, errors of the socket are ours to handle.
    server.on('connect', (_request, socket) => {
      socket.on('error', () => socket.destroy());
      this.#answerBare(405, socket);
    });
    const sweep = setInterval(
      () => this.#refuseLateBodies(),
      Math.min(1000, this.#options.bodyTimeoutMs / 4),
    );
    sweep.unref();
    server.once('close', () => clearInterval(sweep));
  }

  leaveBody(request: IncomingMessage): void {
    const exchange = this.#latest.get(request.socket);
    if (exchange?.request === request) exchange.bodyDue = undefined;
  }

  async settled(graceMs: number): Promise<void> {
    if (this.#underWay === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, graceMs);
    this.#waiting.add(resolve);
    await promise;
    this.#waiting.delete(resolve);
    clearTimeout(timer);
  }

  #begin(request: IncomingMessage, response: ServerResponse): void {
    const { bodyTimeoutMs, stalledReplyMs } = this.#options;
    const exchange: Exchange = { request, response, bodyDue: performance.now() + bodyTimeoutMs };
    if (!this.#latest.has(request.socket)) this.#lingerAtEnd(request.socket);
    this.#latest.set(request.socket, exchange);
    this.#exchanges.add(exchange);
    this.#underWay += 1;
    // The timer of the socket, since it notices when the kernel accepts a part of a large write.
    response.setTimeout(stalledReplyMs, () => {
      if (response.writableLength > 0) response.destroy();
    });
    response.once('close', () => {
      this.#underWay -= 1;
      if (request.complete) this.#forget(exchange);
      else if (exchange.bodyDue === undefined) this.#exchanges.delete(exchange);
      if (this.#underWay === 0) for (const settle of this.#waiting) settle();
    });
  }

  #forget(exchange: Exchange): void {
    this.#exchanges.delete(exchange);
    exchange.request = undefined;
    exchange.response = undefined;
  }

  #refuseLateBodies(): void {
    const now = performance.now();
    for (const exchange of this.#exchanges) {
      const { request, response, bodyDue } = exchange;
      if (request === undefined || bodyDue === undefined) continue;
      const isOver = request.complete || request.destroyed;
      if (!isOver && now < bodyDue) continue;
      exchange.bodyDue = undefined;
      if (response?.closed === true) this.#exchanges.delete(exchange);
      if (isOver) continue;
      const { socket } = request;
      // The request was answered before its body ended, so there is nothing more to answer.
      if (this.#latest.get(socket)?.response?.headersSent === true) socket.destroy();
      else this.#answerBare(408, socket);
    }
  }

  #answerBare(status: keyof typeof messages, socket: Duplex): void {
    const reply = this.#latest.get(socket)?.response;
    // In the middle of a reply, a second one would corrupt the first.
    if (!socket.writable || (reply?.headersSent === true && !reply.writableFinished)) {
      socket.destroy();
      return;
    }
    const body = this.#options.errorBody(status, messages[status]);
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
      // The other end may never close the connection.
      () => socket.destroy(),
    );
  }

  /** Replaces destroySoon, which Node calls after the last answer. Called once for each connection. */
  #lingerAtEnd(socket: Socket): void {
    const close = socket.destroySoon.bind(socket);
    socket.destroySoon = () => {
      const request = this.#latest.get(socket)?.request;
      if (request === undefined || request.complete || socket.destroyed) close();
      else linger(request, this.#options.lingerMs ?? defaultLingerMs);
    };
  }
}

/**
 * Closes a connection gracefully. Closing a socket while the caller still sends would reset it, and the caller might never
 * see the answer. So our half is closed first, and further input is discarded for a while.
 */
function linger(request: IncomingMessage, lingerMs: number): void {
  const { socket } = request;
  const cut = setTimeout(() => socket.destroy(), lingerMs);
  request.once('close', () => socket.destroy());
  socket.once('close', () => clearTimeout(cut));
  socket.end();
  // The handler may have stopped reading in the middle of the body.
  request.removeAllListeners('readable').removeAllListeners('data').resume();
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
