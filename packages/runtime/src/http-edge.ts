import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface HttpEdgeOptions {
  /** The JSON text of an error, in the form that the rest of the server has. */
  errorBody(status: number, message: string): string;
  /** A request's body is there by then, in ms, or 408; `requestTimeout` of the server must be 0. */
  bodyTimeoutMs: number;
  /** A caller that takes nothing of a reply for this long, in ms, is cut off. */
  stalledReplyMs: number;
  /** A sender that was answered for the last time on its connection may go on for this long, in ms, unheard. */
  lingerMs?: number;
}

/**
 * What callers can do to an HTTP server before and after its handlers: bytes that are no request, bodies that never end,
 * replies that nobody reads. A reply that has nothing unread may be quiet for as long as it likes.
 */
export interface HttpEdge {
  /** For `clientError`: what Node's parser refuses never becomes a request, and is answered on the bare socket. */
  answerMalformed(error: NodeJS.ErrnoException, socket: Duplex): void;
  /** Watches the requests of a server, until it closes. */
  watch(server: Server | TlsServer): void;
  /** The body of this request comes as its sender pleases; its handler watches it. */
  leaveBody(request: IncomingMessage): void;
  /** Resolves when every reply that is under way was written or cut; at the latest after `graceMs`. */
  settled(graceMs: number): Promise<void>;
}

const messages = {
  400: 'not an HTTP request',
  405: 'CONNECT is for proxies',
  408: 'request timeout',
  431: 'headers too large',
} as const;

/**
 * One request and its reply. Emptied when it is over: a set that has outgrown its table leaves the old one as garbage, and
 * V8's young collections take what such a table held for alive once it is old, with all that hangs on it.
 */
interface Exchange {
  request: IncomingMessage | undefined;
  response: ServerResponse | undefined;
  /** When the body must be there, by the monotonic clock in ms; undefined: it may come as it likes. */
  bodyDue: number | undefined;
}

export function createHttpEdge(options: HttpEdgeOptions): HttpEdge {
  const { errorBody, bodyTimeoutMs, stalledReplyMs, lingerMs = 2000 } = options;
  /** Those whose reply is under way, or whose body may still be coming. */
  const exchanges = new Set<Exchange>();
  let underWay = 0;
  const latest = new WeakMap<Duplex, Exchange>();
  const waiting = new Set<() => void>();

  function answerBare(status: keyof typeof messages, socket: Duplex): void {
    const reply = latest.get(socket)?.response;
    // In the middle of a reply, another would only garble it.
    if (!socket.writable || (reply?.headersSent === true && !reply.writableFinished)) {
      socket.destroy();
      return;
    }
    const body = errorBody(status, messages[status]);
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
      // The other end may never hang up.
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
      // One that was answered before its body ended has its answer.
      if (latest.get(socket)?.response?.headersSent === true) socket.destroy();
      else answerBare(408, socket);
    }
  }

  /**
   * A socket that is closed while its sender still writes is reset, and its sender may never see the answer that says why. So
   * our half is closed first, and what still comes is thrown away for a while.
   */
  function linger(request: IncomingMessage): void {
    const { socket } = request;
    const cut = setTimeout(() => socket.destroy(), lingerMs);
    request.once('close', () => socket.destroy());
    socket.once('close', () => clearTimeout(cut));
    socket.end();
    // Its handler may have left it in the middle.
    request.removeAllListeners('readable').removeAllListeners('data').resume();
  }

  /** Once for each connection: this is what Node calls after its last answer. */
  function lingerAtEnd(socket: Socket): void {
    const close = socket.destroySoon;
    socket.destroySoon = () => {
      const request = latest.get(socket)?.request;
      if (request === undefined || request.complete || socket.destroyed) close.call(socket);
      else linger(request);
    };
  }

  function begin(request: IncomingMessage, response: ServerResponse): void {
    const exchange: Exchange = { request, response, bodyDue: performance.now() + bodyTimeoutMs };
    if (!latest.has(request.socket)) lingerAtEnd(request.socket);
    latest.set(request.socket, exchange);
    exchanges.add(exchange);
    underWay += 1;
    // The socket's own timer, for it knows of a large write that the kernel has taken a part of.
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
      // First of all, for a handler may leave the body to itself at once.
      server.prependListener('request', begin);
      // Unheard, it would be answered 417 without a body, to whoever asks, past every handler.
      server.on('checkExpectation', (request, response) => void server.emit('request', request, response));
      // Unheard, it would be hung up on without a word. Its socket is ours from here on, with what goes wrong on it.
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
