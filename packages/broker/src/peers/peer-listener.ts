import { once } from 'node:events';
import {
  createSecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { forwardPath, forwardStreamPath } from '@coold/proto';
import { type Address, createTally, type Logger } from '@coold/runtime';
import { type AgentCall, type CallEvents, openCall, refuseForeign } from '../agent-call.ts';
import { connectionKey } from '../connections.ts';
import type { Credentials } from './credentials.ts';
import { defaultKeepalive, keepAlive, type PeerKeepalive } from './keep-alive.ts';
import { formatAddress } from './peer-address.ts';

export interface PeerListener {
  /** Where it listens; the port is the one the kernel chose when 0 was asked for. */
  address: string;
  /** Lets go of the port; each connection ends when what is under way on it has. Resolves when all have. */
  refuseNew(): Promise<void>;
  /** The same, but new connections are taken, and shown other credentials. */
  renew(credentials: Credentials): void;
  close(): void;
}

export interface PeerListenerOptions {
  bind: Address;
  credentials: Credentials;
  /** Forward. @param timeoutMs how long the caller still waits, where he says so */
  take(call: AgentCall, timeoutMs: number | undefined): CallEvents;
  /** Stream. */
  relay(call: AgentCall): CallEvents;
  /** Calls at once on one connection: as many as dispatches may be parked, which is what bounds them. */
  maxCalls: number;
  /** Bytes of a command. */
  maxRequestBytes: number;
  keepalive?: PeerKeepalive;
  log: Logger;
}

/** Connections of other brokers: one each, and one more for the moment in which a certificate is renewed. */
const maxConnections = 256;
/** Connections that have not shown a certificate yet: anybody's, and so in nobody's way. The oldest give way. */
const maxStrangers = 64;
/** As of the links: see there. */
const windowBytes = 1024 * 1024;
const sessionWindowBytes = 16 * 1024 * 1024;
const maxSessionMemory = 512;
const nowhere = { admitted() {}, left() {} };

/**
 * Where other brokers forward to: gRPC over TLS 1.3, and nobody is heard without a certificate of the brokers' CA.
 *
 * @throws Error naming BROKER_ROUTES_BIND when the address cannot be bound
 */
export async function listenForPeers(options: PeerListenerOptions): Promise<PeerListener> {
  const { bind, credentials, take, relay, maxCalls, maxRequestBytes, log } = options;
  const { keepalive = defaultKeepalive } = options;
  const tally = createTally(log);
  const sessions = new Set<ServerHttp2Session>();
  const server = createSecureServer({
    ...credentials,
    ...{ requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' },
    ...{ ALPNProtocols: ['h2'], handshakeTimeout: 10_000, maxSessionMemory },
    settings: { enablePush: false, maxConcurrentStreams: maxCalls, initialWindowSize: windowBytes },
    // A call is reset when its caller leaves; as many may leave at once as there can be.
    streamResetBurst: maxCalls,
    streamResetRate: 1000,
  });
  server.maxConnections = maxConnections + maxStrangers;
  const strangers = new Map<string, Socket>();
  server.on('connection', (socket: Socket) => {
    const key = connectionKey(socket);
    strangers.set(key, socket);
    socket.once('close', () => {
      if (strangers.get(key) === socket) strangers.delete(key);
    });
    const [oldest] = strangers;
    if (strangers.size <= maxStrangers || oldest === undefined) return;
    strangers.delete(oldest[0]);
    oldest[1].destroy();
    tally(
      { without_certificate: strangers.size },
      'too many connections that show no certificate: the oldest are cut',
    );
  });
  server.on('secureConnection', (socket: Socket) => strangers.delete(connectionKey(socket)));
  server.on('session', (session: ServerHttp2Session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    if (session.destroyed) return;
    session.setLocalWindowSize(sessionWindowBytes);
    keepAlive(session, keepalive);
  });
  server.on('sessionError', (error: Error) =>
    tally({ why: error.message }, 'connection of another broker failed'),
  );
  server.on('tlsClientError', (error: Error, { remoteAddress }: { remoteAddress?: string }) =>
    tally({ peer: remoteAddress, why: error.message }, 'not taken for a broker: no TLS with it'),
  );
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const isStream = headers[':path'] === forwardStreamPath;
    if (refuseForeign(stream, headers, isStream ? forwardStreamPath : forwardPath)) return;
    const serve = isStream ? relay : (call: AgentCall) => take(call, readTimeout(headers['grpc-timeout']));
    openCall(stream, headers, nowhere, serve, maxRequestBytes);
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', error =>
      reject(new Error(`BROKER_ROUTES_BIND=${formatAddress(bind)}: ${error.message}`, { cause: error })),
    );
    server.listen(bind.port, bind.host, () => resolve((server.address() as AddressInfo).port));
  });
  server.on('error', error => log.error({ err: error }, 'listener for brokers failed; it goes on'));
  const endSessions = () => {
    for (const session of sessions) session.close();
  };
  return {
    address: formatAddress({ host: bind.host, port }),
    async refuseNew() {
      server.close();
      const ended = [...sessions].map(session => once(session, 'close'));
      endSessions();
      await Promise.all(ended);
    },
    renew(next) {
      server.setSecureContext({ ...next, minVersion: 'TLSv1.3' });
      endSessions();
    },
    close() {
      server.close();
      for (const socket of strangers.values()) socket.destroy();
      for (const session of sessions) session.destroy();
    },
  };
}

const unitMs: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 };

/** The header `grpc-timeout` in ms; undefined where it is absent or none. */
export function readTimeout(header: string | string[] | undefined): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(String(header)) ?? [];
  return digits === undefined ? undefined : Math.max(1, Math.round(Number(digits) * (unitMs[unit] ?? 1)));
}
