import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { readJsonText } from '@coold/proto';
import type { Dispatch, Dispatched } from '../dispatch/dispatch.ts';
import type { Reply } from '../hosts/envelope.ts';
import { PlainRequestReader } from './plain-request.ts';

export interface DispatchDoorOptions {
  dispatch: Dispatch;
  /** The most bytes of a dispatch's body. */
  maxBodyBytes: number;
  /** Called with the body of every request that is a dispatch. */
  look(body: unknown): void;
  /** Logs an unexpected error of a dispatch, and returns the reply to its caller. */
  failed(error: unknown, body: unknown): Reply;
  /** Hands a connection over to the HTTP server for good, with its unanswered bytes put back. */
  pass(socket: Socket): void;
  /** Like the HTTP server's: how long a connection may be idle, in ms. */
  keepAliveMs: number;
  /** How long a caller may read nothing of its reply, in ms. */
  stalledReplyMs: number;
}

/**
 * The fast path for dispatches in their usual form. Parsing them in the HTTP server costs more than all the rest of the
 * broker (docs/decisions/dispatch-door.md). Each connection begins here. Anything on it that is not such a request,
 * complete in one piece, hands the connection over to the HTTP server, which answers that and everything after it; so
 * every refusal, limit and oddity of HTTP exists only there. Replies from here have the same bytes as the HTTP
 * server's.
 */
export interface DispatchDoor {
  /** Takes a new connection. */
  take(socket: Socket): void;
  /**
   * Marks each reply from now on as the last of its connection. Resolves when every reply in progress is written, after
   * `graceMs` at the latest.
   */
  settle(graceMs: number): Promise<void>;
  /** Cuts the connections that are still here. */
  close(): void;
}

/** The interval of checks for idle connections, in ms. */
const sweepMs = 1000;
/**
 * Node's server waits this much longer than it tells callers, in ms, so that a request sent in the last moment still
 * arrives.
 */
const keepAliveMarginMs = 1000;

export function createDispatchDoor(options: DispatchDoorOptions): DispatchDoor {
  return new Door(options);
}

class Door implements DispatchDoor {
  readonly options: DispatchDoorOptions;
  readonly reader = new PlainRequestReader();
  readonly connections = new Set<Connection>();
  isStopping = false;
  /** The number of replies in progress. */
  #underWay = 0;
  readonly #settled = Promise.withResolvers<void>();
  readonly #sweep: NodeJS.Timeout;
  readonly #endOfHead: string;
  #second = 0;
  #date = '';

  constructor(options: DispatchDoorOptions) {
    this.options = options;
    this.#endOfHead = `\r\nConnection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(options.keepAliveMs / 1000)}\r\n\r\n`;
    const idleSweeps = Math.ceil((options.keepAliveMs + keepAliveMarginMs) / sweepMs);
    this.#sweep = setInterval(() => {
      for (const connection of this.connections) connection.lookAt(idleSweeps);
    }, sweepMs);
    this.#sweep.unref();
  }

  take(socket: Socket): void {
    this.connections.add(new Connection(this, socket));
  }

  begun(): void {
    this.#underWay += 1;
  }

  ended(): void {
    this.#underWay -= 1;
    if (this.isStopping && this.#underWay === 0) this.#settled.resolve();
  }

  async settle(graceMs: number): Promise<void> {
    this.isStopping = true;
    if (this.#underWay === 0) return;
    const timer = setTimeout(this.#settled.resolve, graceMs);
    await this.#settled.promise;
    clearTimeout(timer);
  }

  close(): void {
    clearInterval(this.#sweep);
    for (const connection of this.connections) connection.cut();
  }

  /** Returns the text of a reply, byte for byte like the HTTP server's. */
  write(status: number, body: string, bytes: number): string {
    const head = `content-type: application/json; charset=utf-8\r\ncontent-length: ${bytes}\r\nDate: ${this.#now()}`;
    const first = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`;
    return this.isStopping
      ? `${first}connection: close\r\n${head}\r\n\r\n${body}`
      : `${first}${head}${this.#endOfHead}${body}`;
  }

  #now(): string {
    const now = Date.now();
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#date = new Date(now).toUTCString();
    }
    return this.#date;
  }
}

/** The state of a connection. */
type ConnectionState =
  /** Nothing has arrived on it. */
  | 'fresh'
  /** Its last request is answered. */
  | 'idle'
  /** A dispatch waits for its answer. */
  | 'waiting'
  /** The reply is being written. */
  | 'writing'
  /** It was handed over to the HTTP server, or is closed. */
  | 'gone';

class Connection {
  readonly #door: Door;
  readonly #socket: Socket;
  #state: ConnectionState = 'fresh';
  #ticket: Dispatched['ticket'];
  /** What arrived during a request. Nothing more is read then. */
  #later: Buffer | undefined;
  #body: unknown;
  /** The number of checks that found it idle. */
  #idleSweeps = 0;
  #isStallWatched = false;

  constructor(door: Door, socket: Socket) {
    this.#door = door;
    this.#socket = socket;
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('error', ignore);
    socket.on('close', this.#onClose);
  }

  /**
   * A connection that never sent anything is left to the HTTP server's timeout; one that is idle for this many checks
   * is closed.
   */
  lookAt(idleSweeps: number): void {
    if (this.#state === 'fresh') this.#pass(undefined);
    else if (this.#state === 'idle') {
      this.#idleSweeps += 1;
      if (this.#idleSweeps >= idleSweeps) this.cut();
    }
  }

  cut(): void {
    this.#socket.destroy();
  }

  readonly #onData = (chunk: Buffer) => {
    if (this.#state === 'fresh' || this.#state === 'idle') this.#read(chunk);
    else {
      this.#later = this.#later === undefined ? chunk : Buffer.concat([this.#later, chunk]);
      this.#socket.pause();
    }
  };

  /** The caller has ended its side. As with the HTTP server, it counts as having left. */
  readonly #onEnd = () => void this.#socket.end();

  readonly #onClose = () => {
    const state = this.#state;
    this.#state = 'gone';
    this.#door.connections.delete(this);
    if (state !== 'waiting' && state !== 'writing') return;
    this.#ticket?.undelivered();
    this.#forget();
    this.#door.ended();
  };

  #read(chunk: Buffer): void {
    const { dispatch, maxBodyBytes, look } = this.#door.options;
    const request = this.#door.reader.read(chunk, maxBodyBytes);
    if (request === undefined) return void this.#pass(chunk);
    let body: unknown;
    try {
      body = readJsonText(request.body);
    } catch {
      return void this.#pass(chunk); // the HTTP server says what is wrong with it
    }
    this.#state = 'waiting';
    this.#later = request.rest;
    if (request.rest !== undefined) this.#socket.pause();
    this.#body = body;
    this.#door.begun();
    look(body);
    let dispatched: Dispatched;
    try {
      dispatched = dispatch(body, request.body.length);
    } catch (error) {
      return void this.#fail(error);
    }
    this.#ticket = dispatched.ticket;
    dispatched.whenReplied(this.#write, this.#fail);
  }

  readonly #fail = (error: unknown) => void this.#write(this.#door.options.failed(error, this.#body));

  readonly #write = ({ status, envelope }: Reply) => {
    if (this.#state !== 'waiting') return;
    this.#state = 'writing';
    this.#body = undefined;
    const body = JSON.stringify(envelope);
    const bytes = Buffer.byteLength(body);
    const text = this.#door.write(status, body, bytes);
    const socket = this.#socket;
    // As many bytes as characters means ASCII, which needs no encoding.
    socket.write(text, bytes === body.length ? 'latin1' : 'utf8', this.#onWritten);
    if (socket.writableLength === 0) return;
    this.#isStallWatched = true;
    // The socket's timer restarts when the kernel takes a part of the reply.
    socket.setTimeout(this.#door.options.stalledReplyMs, () => socket.destroy());
  };

  readonly #onWritten = (error?: Error | null) => {
    // Otherwise `close` follows.
    if (error != null || this.#state !== 'writing') return;
    this.#ticket?.delivered();
    this.#forget();
    this.#state = 'idle';
    this.#idleSweeps = 0;
    if (this.#isStallWatched) {
      this.#isStallWatched = false;
      this.#socket.setTimeout(0).removeAllListeners('timeout');
    }
    this.#door.ended();
    if (this.#door.isStopping) return void this.#socket.destroySoon();
    const later = this.#later;
    if (later === undefined) return;
    this.#later = undefined;
    this.#socket.resume();
    this.#read(later);
  };

  #forget(): void {
    this.#ticket = undefined;
    this.#body = undefined;
  }

  #pass(unread: Buffer | undefined): void {
    const socket = this.#socket;
    this.#state = 'gone';
    this.#door.connections.delete(this);
    socket.off('data', this.#onData).off('end', this.#onEnd).off('error', ignore).off('close', this.#onClose);
    if (unread !== undefined) socket.unshift(unread);
    this.#door.options.pass(socket);
    socket.resume();
  }
}

const ignore = () => {};
