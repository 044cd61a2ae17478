import type { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { TLSSocket } from 'node:tls';
import { forwardPath, forwardStreamPath, peerBuildPath, peerHostsPath, revocationsPath } from '@coold/proto';
import { type Address, createSampledWarn, type Logger, UnusableError } from '@coold/runtime';
import { type AgentCall, type CallEvents, openCall, refuseForeign } from '../../grpc/agent-call.ts';
import type { Credentials } from './credentials.ts';
import { defaultKeepalive, keepAlive, type PeerKeepalive } from './keep-alive.ts';
import { formatAddress } from './peer-address.ts';
import { StrangerLimit } from './stranger-limit.ts';

export interface PeerListener {
  /** Where it listens, `host:port`. The port is the one that the kernel chose when 0 was asked for. */
  address: string;
  /** Stops listening. Each connection ends when the calls on it have ended. Resolves when all connections have ended. */
  refuseNew(): Promise<void>;
  /** Uses other credentials for new connections. Each present connection ends when the calls on it have ended. */
  renew(credentials: Credentials): void;
  /** Cuts all connections. */
  close(): void;
}

/** The broker that makes a call. */
export interface PeerCaller {
  /** The certificate that it showed on this connection. */
  certificate: X509Certificate;
  /** How long it still waits, in ms. undefined: it does not say. */
  timeoutMs: number | undefined;
}

export type PeerHandler = (call: AgentCall, caller: PeerCaller) => CallEvents;

export interface PeerListenerOptions {
  bind: Address;
  credentials: Credentials;
  /** The handlers of the calls of BrokerPeer. */
  handlers: {
    forward: PeerHandler;
    stream: PeerHandler;
    build: PeerHandler;
    hosts: PeerHandler;
    /** undefined: this broker shares no revocations. */
    revocations: PeerHandler | undefined;
  };
  /** The most calls at once on one connection. As many as dispatches may be parked, which bounds them. */
  maxCalls: number;
  /** The most bytes of a request. */
  maxRequestBytes: number;
  keepalive?: PeerKeepalive;
  log: Logger;
}

/** The most connections of other brokers. Each has one, and a second one while a certificate is renewed. */
const maxConnections = 256;
/** The most connections that have not shown a certificate yet. */
const maxStrangers = 64;
/** As in dial-peer.ts. */
const windowBytes = 1024 * 1024;
const sessionWindowBytes = 16 * 1024 * 1024;
const maxSessionMemory = 512;
const nowhere = { admitted() {}, left() {} };

/**
 * Listens for other brokers: gRPC over TLS 1.3. Only a broker with a certificate of the brokers' CA is served.
 *
 * @throws UnusableError naming BROKER_ROUTES_BIND when the address cannot be bound
 */
export async function listenForPeers(options: PeerListenerOptions): Promise<PeerListener> {
  const { bind, keepalive = defaultKeepalive, log } = options;
  const warnSampled = createSampledWarn(log);
  const server = createServer(options);
  const strangers = new StrangerLimit(maxStrangers, count =>
    warnSampled(
      { without_certificate: count },
      'too many connections that show no certificate: the oldest are cut',
    ),
  );
  strangers.watch(server);
  const sessions = new PeerSessions(keepalive);
  server.on('session', (session: ServerHttp2Session) => sessions.add(session));
  server.on('sessionError', (error: Error) =>
    warnSampled({ why: error.message }, 'connection of another broker failed'),
  );
  server.on('tlsClientError', (error: Error, { remoteAddress }: { remoteAddress?: string }) =>
    warnSampled({ peer: remoteAddress, why: error.message }, 'refused as a broker: it does not speak TLS'),
  );
  server.on('stream', serveCalls(options, sessions));
  const port = await listen(server, bind);
  server.on('error', error =>
    log.error({ err: error }, 'listener for brokers reported an error and goes on'),
  );
  return {
    address: formatAddress({ host: bind.host, port }),
    refuseNew() {
      server.close();
      return sessions.end();
    },
    renew(next) {
      server.setSecureContext({ ...next, minVersion: 'TLSv1.3' });
      void sessions.end();
    },
    close() {
      server.close();
      strangers.close();
      sessions.destroy();
    },
  };
}

function createServer({ credentials, maxCalls }: PeerListenerOptions): Http2SecureServer {
  const server = createSecureServer({
    ...credentials,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['h2'],
    handshakeTimeout: 10_000,
    maxSessionMemory,
    settings: { enablePush: false, maxConcurrentStreams: maxCalls, initialWindowSize: windowBytes },
    // A call is reset when its caller leaves. All callers may leave at once.
    streamResetBurst: maxCalls,
    streamResetRate: 1000,
  });
  server.maxConnections = maxConnections + maxStrangers;
  return server;
}

/** Returns the listener of the server's event `stream`. */
function serveCalls({ handlers, maxRequestBytes }: PeerListenerOptions, sessions: PeerSessions) {
  const { forward, stream: ofStream, build, hosts, revocations } = handlers;
  const byPath = new Map<string | undefined, PeerHandler>([
    [forwardPath, forward],
    [forwardStreamPath, ofStream],
    [peerBuildPath, build],
    [peerHostsPath, hosts],
    ...(revocations === undefined ? [] : [[revocationsPath, revocations] as const]),
  ]);
  return (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const { ':path': path = '' } = headers;
    const handler = byPath.get(path);
    const certificate = sessions.certificateOf(stream.session);
    if (refuseForeign(stream, headers, handler === undefined ? forwardPath : path)) return;
    if (handler === undefined || certificate === undefined) {
      stream.close();
      return;
    }
    const caller = { certificate, timeoutMs: readTimeout(headers['grpc-timeout']) };
    openCall(stream, headers, nowhere, call => handler(call, caller), maxRequestBytes);
  };
}

/** @returns the port @throws UnusableError */
function listen(server: Http2SecureServer, bind: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', error =>
      reject(
        new UnusableError(`BROKER_ROUTES_BIND=${formatAddress(bind)}: ${error.message}`, { cause: error }),
      ),
    );
    server.listen(bind.port, bind.host, () => resolve((server.address() as AddressInfo).port));
  });
}

/** The sessions of other brokers, with the certificate that each showed. */
class PeerSessions {
  readonly #keepalive: PeerKeepalive;
  readonly #certificates = new Map<Http2Session, X509Certificate>();

  constructor(keepalive: PeerKeepalive) {
    this.#keepalive = keepalive;
  }

  /** Takes in a new session. One without a certificate is destroyed. */
  add(session: ServerHttp2Session): void {
    if (session.destroyed) return;
    const { socket } = session;
    const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
    if (certificate === undefined) {
      session.destroy();
      return;
    }
    this.#certificates.set(session, certificate);
    session.once('close', () => this.#certificates.delete(session));
    session.setLocalWindowSize(sessionWindowBytes);
    keepAlive(session, this.#keepalive);
  }

  certificateOf(session: Http2Session | undefined): X509Certificate | undefined {
    return session && this.#certificates.get(session);
  }

  /** Lets each session end when the calls on it have ended. Resolves when all have. */
  async end(): Promise<void> {
    const sessions = [...this.#certificates.keys()];
    const ended = sessions.map(session => once(session, 'close'));
    for (const session of sessions) session.close();
    await Promise.all(ended);
  }

  destroy(): void {
    for (const session of this.#certificates.keys()) session.destroy();
  }
}

const unitMs: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 };

/** Returns the header `grpc-timeout` in ms, undefined where it is absent or malformed. */
export function readTimeout(header: string | string[] | undefined): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(String(header)) ?? [];
  return digits === undefined ? undefined : Math.max(1, Math.round(Number(digits) * (unitMs[unit] ?? 1)));
}
