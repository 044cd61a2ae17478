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

interface Connection extends CallPlace {
  socket: Socket;
  session: Http2Session | undefined;
  /** The number of hosts' streams on it. */
  streams: number;
  idleSince: number;
  pingAt: number;
  /** When the unanswered PING was sent. */
  pingedAt: number | undefined;
  /** The number of PING and SETTINGS frames since the last sweep. */
  controlFrames: number;
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
  const { keepalive, idleMs, maxIdle, log } = options;
  const sweepMs = Math.min(1000, keepalive.everyMs / 4, keepalive.timeoutMs / 4, idleMs / 4);
  // A sweep may be late by `sweepMs` twice, so a silent end is found within both times together.
  const pingEveryMs = keepalive.everyMs - 2 * sweepMs;
  const all = new Map<string, Connection>();
  const bySession = new Map<Http2Session, Connection>();
  /** Connections without a host's stream, longest first. */
  const idle = new Set<Connection>();
  const sayFlood = budgetLines(log, floodLines);
  const cuts = { count: 0, saidAt: Number.NEGATIVE_INFINITY };

  function cut(connection: Connection): void {
    idle.delete(connection);
    connection.session?.destroy();
    connection.socket.destroy();
  }

  function becomeIdle(connection: Connection): void {
    connection.idleSince = performance.now();
    idle.add(connection);
    const [oldest] = idle;
    if (idle.size <= maxIdle || oldest === undefined) return;
    cuts.count += 1;
    cut(oldest);
    say('too many connections without a host’s stream: the oldest are cut');
  }

  function say(message: string): void {
    const now = performance.now();
    if (cuts.count === 0 || now - cuts.saidAt < sayAgainMs) return;
    log.warn({ cut: cuts.count, without_stream: idle.size, open: all.size }, message);
    cuts.count = 0;
    cuts.saidAt = now;
  }

  function ping(connection: Connection, session: Http2Session, now: number): void {
    connection.pingedAt = now;
    connection.pingAt = now + pingEveryMs;
    try {
      session.ping(error => {
        if (error === null) connection.pingedAt = undefined;
      });
    } catch {
      cut(connection); // it is on its way out
    }
  }

  function sweep(): void {
    const now = performance.now();
    for (const connection of idle) {
      if (now - connection.idleSince < idleMs) break;
      cuts.count += 1;
      cut(connection);
    }
    say('connections without a host’s stream were cut');
    for (const connection of bySession.values()) {
      const { session, pingedAt } = connection;
      connection.controlFrames = 0;
      if (session === undefined || session.destroyed) continue;
      if (pingedAt !== undefined) {
        if (now - pingedAt >= keepalive.timeoutMs) cut(connection);
      } else if (now >= connection.pingAt && !session.connecting) ping(connection, session, now);
    }
  }

  // One function for all sessions, because a closure each would take memory for each.
  function onControlFrame(this: Http2Session): void {
    const connection = bySession.get(this);
    if (connection === undefined) return;
    connection.controlFrames += 1;
    if (connection.controlFrames !== maxControlFrames) return;
    sayFlood(
      'warn',
      { peer: connectionKey(connection.socket) },
      'a flood of HTTP/2 control frames; connection cut',
    );
    cut(connection);
  }

  const timer = setInterval(sweep, sweepMs);
  return {
    opened(socket) {
      const connection: Connection = {
        socket,
        session: undefined,
        streams: 0,
        idleSince: 0,
        // Random at first, so that hosts that connected together are not PINGed together for ever.
        pingAt: performance.now() + Math.random() * pingEveryMs,
        pingedAt: undefined,
        controlFrames: 0,
        admitted() {
          this.streams += 1;
          idle.delete(this);
        },
        left() {
          this.streams -= 1;
          if (this.streams === 0 && !this.socket.destroyed) becomeIdle(this);
        },
      };
      const key = connectionKey(socket);
      all.set(key, connection);
      socket.once('close', () => {
        if (all.get(key) === connection) all.delete(key);
        idle.delete(connection);
        if (connection.session !== undefined) bySession.delete(connection.session);
      });
      becomeIdle(connection);
    },
    spoke(session) {
      const { socket } = session;
      const connection = socket === undefined ? undefined : all.get(connectionKey(socket));
      if (connection === undefined) return void session.destroy();
      connection.session = session;
      bySession.set(session, connection);
      session.on('ping', onControlFrame);
      session.on('remoteSettings', onControlFrame);
    },
    placeOf: session => bySession.get(session),
    close() {
      clearInterval(timer);
      for (const connection of [...all.values()]) cut(connection);
    },
    counts: () => ({ open: all.size, idle: idle.size }),
  };
}

/** Identifies a connection, plain or under TLS. */
export function connectionKey({
  remoteAddress,
  remotePort,
  localAddress,
}: Pick<Socket, 'remoteAddress' | 'remotePort' | 'localAddress'>): string {
  return `${remoteAddress}|${remotePort}|${localAddress}`;
}
