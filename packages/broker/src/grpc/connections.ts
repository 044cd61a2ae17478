import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Logger } from '@coold/runtime';
import type { CallPlace } from './agent-call.ts';
import type { Keepalive } from './grpc.ts';
import { budgetLines } from './line-budget.ts';

export interface ConnectionsOptions {
  keepalive: Keepalive;
  /** A connection without a host's stream for this many ms is cut. */
  idleMs: number;
  /** The most connections without a host's stream. Beyond this the oldest are cut. */
  maxIdle: number;
  log: Logger;
}

/**
 * The TCP connections of the gRPC listener. One sweep per second does for all of them what a timer each would do: it
 * PINGs, drops those that do not answer, and cuts those without a host.
 */
export interface Connections {
  /** Call when a connection was accepted, before anything is known of it. */
  opened(socket: Socket): void;
  /** Call when it speaks HTTP/2. A connection that closed at the same moment is ignored. */
  spoke(session: Http2Session): void;
  placeOf(session: Http2Session): CallPlace | undefined;
  /** Cuts all connections and stops the sweep. */
  close(): void;
  counts(): { open: number; idle: number };
}

/**
 * The most PING and SETTINGS frames of a connection per second. A coold sends two a minute. Each must be answered, and
 * nghttp2 limits only how many answers wait unread.
 */
const maxControlFrames = 200;
/** Log lines per second about connections that are cut for it. Any client that reaches the port can cause thousands. */
const floodLines = 10;
/** The shortest interval between two log lines about connections cut for lack of a host, in ms. */
const sayAgainMs = 60_000;

export function createConnections(options: ConnectionsOptions): Connections {
  return new GrpcConnections(options);
}

/** One TCP connection, idle as long as no host has a stream on it. */
class Connection implements CallPlace {
  readonly socket: Socket;
  readonly #idle: IdleConnections;
  /** Undefined until it speaks HTTP/2. */
  session: Http2Session | undefined;
  /** The number of hosts' streams on it. */
  #streams = 0;
  idleSince = 0;
  pingAt: number;
  /** When the unanswered PING was sent. */
  pingedAt: number | undefined;
  /** The number of PING and SETTINGS frames since the last sweep. */
  controlFrames = 0;

  constructor(socket: Socket, idle: IdleConnections, pingAt: number) {
    this.socket = socket;
    this.#idle = idle;
    this.pingAt = pingAt;
  }

  admitted(): void {
    this.#streams += 1;
    this.#idle.delete(this);
  }

  left(): void {
    this.#streams -= 1;
    if (this.#streams === 0 && !this.socket.destroyed) this.#idle.add(this);
  }

  cut(): void {
    this.#idle.delete(this);
    this.session?.destroy();
    this.socket.destroy();
  }

  /** Sends a PING; cuts the connection when it is already closing. */
  ping(session: Http2Session, now: number, everyMs: number): void {
    this.pingedAt = now;
    this.pingAt = now + everyMs;
    try {
      session.ping(error => {
        if (error === null) this.pingedAt = undefined;
      });
    } catch {
      this.cut();
    }
  }
}

/** The connections without a host's stream. Cuts the oldest beyond a number, and those that are idle for too long. */
class IdleConnections {
  readonly #options: ConnectionsOptions;
  readonly #openCount: () => number;
  /** Longest idle first. */
  readonly #idle = new Set<Connection>();
  /** Cut since the last log line. */
  #cuts = 0;
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor(options: ConnectionsOptions, openCount: () => number) {
    this.#options = options;
    this.#openCount = openCount;
  }

  get size(): number {
    return this.#idle.size;
  }

  delete(connection: Connection): void {
    this.#idle.delete(connection);
  }

  add(connection: Connection): void {
    connection.idleSince = performance.now();
    this.#idle.add(connection);
    const [oldest] = this.#idle;
    if (this.#idle.size <= this.#options.maxIdle || oldest === undefined) return;
    this.#cut(oldest);
    this.#say('too many connections without a host’s stream: the oldest are cut');
  }

  sweep(now: number): void {
    for (const connection of this.#idle) {
      if (now - connection.idleSince < this.#options.idleMs) break;
      this.#cut(connection);
    }
    this.#say('connections without a host’s stream were cut');
  }

  #cut(connection: Connection): void {
    this.#cuts += 1;
    connection.cut();
  }

  #say(message: string): void {
    const now = performance.now();
    if (this.#cuts === 0 || now - this.#saidAt < sayAgainMs) return;
    const fields = { cut: this.#cuts, without_stream: this.#idle.size, open: this.#openCount() };
    this.#options.log.warn(fields, message);
    this.#cuts = 0;
    this.#saidAt = now;
  }
}

class GrpcConnections implements Connections {
  readonly #keepalive: Keepalive;
  readonly #pingEveryMs: number;
  readonly #all = new Map<string, Connection>();
  readonly #bySession = new Map<Http2Session, Connection>();
  readonly #idle: IdleConnections;
  readonly #sweepTimer: NodeJS.Timeout;
  /** One listener for all sessions, because a closure each would take memory for each. */
  readonly #onControlFrame: (this: Http2Session) => void;

  constructor(options: ConnectionsOptions) {
    const { keepalive, idleMs, log } = options;
    const sweepMs = Math.min(1000, keepalive.everyMs / 4, keepalive.timeoutMs / 4, idleMs / 4);
    this.#keepalive = keepalive;
    // A sweep may be late by `sweepMs` twice, so a silent end is found within both times together.
    this.#pingEveryMs = keepalive.everyMs - 2 * sweepMs;
    this.#idle = new IdleConnections(options, () => this.#all.size);
    this.#sweepTimer = setInterval(() => this.#sweep(), sweepMs);
    const bySession = this.#bySession;
    const sayFlood = budgetLines(log, floodLines);
    this.#onControlFrame = function () {
      const connection = bySession.get(this);
      if (connection === undefined) return;
      connection.controlFrames += 1;
      if (connection.controlFrames !== maxControlFrames) return;
      const peer = connectionKey(connection.socket);
      sayFlood('warn', { peer }, 'a flood of HTTP/2 control frames; connection cut');
      connection.cut();
    };
  }

  opened(socket: Socket): void {
    // Random at first, so that hosts that connected together are not PINGed together for ever.
    const pingAt = performance.now() + Math.random() * this.#pingEveryMs;
    const connection = new Connection(socket, this.#idle, pingAt);
    const key = connectionKey(socket);
    this.#all.set(key, connection);
    socket.once('close', () => {
      if (this.#all.get(key) === connection) this.#all.delete(key);
      this.#idle.delete(connection);
      if (connection.session !== undefined) this.#bySession.delete(connection.session);
    });
    this.#idle.add(connection);
  }

  spoke(session: Http2Session): void {
    const { socket } = session;
    const connection = socket === undefined ? undefined : this.#all.get(connectionKey(socket));
    if (connection === undefined) return void session.destroy();
    connection.session = session;
    this.#bySession.set(session, connection);
    session.on('ping', this.#onControlFrame);
    session.on('remoteSettings', this.#onControlFrame);
  }

  placeOf(session: Http2Session): CallPlace | undefined {
    return this.#bySession.get(session);
  }

  close(): void {
    clearInterval(this.#sweepTimer);
    for (const connection of [...this.#all.values()]) connection.cut();
  }

  counts(): { open: number; idle: number } {
    return { open: this.#all.size, idle: this.#idle.size };
  }

  #sweep(): void {
    const now = performance.now();
    this.#idle.sweep(now);
    for (const connection of this.#bySession.values()) {
      const { session, pingedAt } = connection;
      connection.controlFrames = 0;
      if (session === undefined || session.destroyed) continue;
      if (pingedAt !== undefined) {
        if (now - pingedAt >= this.#keepalive.timeoutMs) connection.cut();
      } else if (now >= connection.pingAt && !session.connecting)
        connection.ping(session, now, this.#pingEveryMs);
    }
  }
}

/** Identifies a connection, plain or under TLS. */
export function connectionKey({
  remoteAddress,
  remotePort,
  localAddress,
}: Pick<Socket, 'remoteAddress' | 'remotePort' | 'localAddress'>): string {
  return `${remoteAddress}|${remotePort}|${localAddress}`;
}
