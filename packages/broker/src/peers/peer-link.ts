import { type ClientHttp2Session, connect } from 'node:http2';
import { isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { createBackoff, type Logger } from '@coold/runtime';
import type { Credentials } from './credentials.ts';
import { defaultKeepalive, keepAlive, type PeerKeepalive } from './keep-alive.ts';
import { peerAddress } from './peer-address.ts';
import { forwardOnce, PeerError } from './peer-call.ts';
import { openPeerStream, type PeerStream, type PeerStreamEvents } from './peer-stream.ts';

/** The way to one other broker: one HTTP/2 session, dialled when it is first needed and again after it was lost. */
export interface PeerLink {
  /**
   * Forwards once. `timeoutMs` is told to the other side; the signal ends the call on both.
   *
   * @throws PeerError
   */
  forward(request: Uint8Array, timeoutMs: number, signal: AbortSignal): Promise<Buffer>;
  /** Opens a stream of messages; what is written before there is a connection waits for it. */
  stream(events: PeerStreamEvents): PeerStream;
  /** What is under way ends in its time; the next call dials anew, with the credentials as they are then. */
  renew(): void;
  /** Calls under way. */
  count(): number;
  close(): void;
}

export interface PeerLinkOptions {
  /** For the log. */
  brokerId: string;
  /** `host:port` */
  address: string;
  credentials: () => Credentials;
  connectTimeoutMs: number;
  /** Of a session that is up. */
  keepalive?: PeerKeepalive;
  backoff?: { firstMs: number; maxMs: number };
  log: Logger;
}

/** Of commands on the way to one peer; beyond it, it does not read. */
const maxUnansweredBytes = 64 * 1024 * 1024;
const defaultBackoff = { firstMs: 100, maxMs: 5000 };
/** What may come without being asked for, for each call and for all together: an answer of 4 MiB in few round trips. */
const windowBytes = 1024 * 1024;
const sessionWindowBytes = 16 * 1024 * 1024;
/** MB that a session may hold; Node's 10 would end calls when a few answers are large. */
const maxSessionMemory = 512;

export function createPeerLink(options: PeerLinkOptions): PeerLink {
  const { brokerId, address, credentials, connectTimeoutMs, log } = options;
  const peer = { broker_id: brokerId, address };
  const parsed = peerAddress.parse(address);
  if (parsed === undefined)
    throw new PeerError('unreachable', `has a wrong address: expected ${peerAddress.expected}`);
  const { host, port } = parsed;
  const keepalive = options.keepalive ?? defaultKeepalive;
  const backoff = createBackoff(options.backoff ?? defaultBackoff);
  let session: Promise<ClientHttp2Session> | undefined;
  let refusedUntil = { at: 0, why: '' };
  let calls = 0;
  let unansweredBytes = 0;

  /** Resolves once the other side has spoken HTTP/2: only then has it taken our certificate. */
  function dial(): Promise<ClientHttp2Session> {
    const { promise, resolve, reject } = Promise.withResolvers<ClientHttp2Session>();
    // A socket of our own: a session says nothing when the other side refuses our certificate.
    const socket = connectTls({
      ...credentials(),
      ...{ host, port, servername: isIP(host) === 0 ? host : '' },
      ...{ ALPNProtocols: ['h2'], minVersion: 'TLSv1.3' },
    });
    const dialled = connect(`https://${address}`, {
      createConnection: () => socket,
      maxSessionMemory,
      settings: { enablePush: false, initialWindowSize: windowBytes },
    });
    let why = 'it ended the connection before it spoke; does it take the certificate of this broker?';
    const timer = setTimeout(() => lose(`no connection within ${connectTimeoutMs} ms`), connectTimeoutMs);
    const forget = () => {
      if (session === promise) session = undefined;
    };
    let isOver = false;
    const over = () => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      dialled.destroy();
      socket.destroy();
      const isCurrent = session === promise;
      forget();
      reject(new PeerError('unreachable', `cannot be reached: ${why}`));
      if (!isCurrent) return;
      const waitMs = backoff.next();
      refusedUntil = { at: performance.now() + waitMs, why };
      const line = { ...peer, why, again_in_ms: waitMs };
      log.warn(line, 'no connection to another broker; dialled again when it is needed');
    };
    const lose = (reason: string) => {
      why = reason;
      over();
    };
    dialled.once('remoteSettings', () => {
      clearTimeout(timer);
      backoff.reset();
      why = 'the connection was lost';
      dialled.setLocalWindowSize(sessionWindowBytes);
      keepAlive(dialled, keepalive);
      log.info(peer, 'connected to another broker');
      resolve(dialled);
    });
    dialled.once('goaway', forget);
    dialled.on('error', error => {
      why = error.message;
    });
    // It may be all that comes: after an alert neither says that it has closed.
    socket.on('error', error => lose(error.message));
    dialled.once('close', over);
    socket.once('close', over);
    return promise;
  }

  async function take(): Promise<ClientHttp2Session> {
    if (session === undefined) {
      if (performance.now() < refusedUntil.at)
        throw new PeerError('unreachable', `cannot be reached: ${refusedUntil.why}`);
      session = dial();
    }
    return session;
  }

  const attempt = async (request: Uint8Array, deadline: number, signal: AbortSignal) => {
    const taken = await take();
    return forwardOnce(taken, request, Math.max(1, Math.ceil(deadline - performance.now())), signal);
  };

  return {
    async forward(request, timeoutMs, signal) {
      if (unansweredBytes + request.length > maxUnansweredBytes)
        throw new PeerError('busy', 'does not read what it is sent');
      const deadline = performance.now() + timeoutMs;
      calls += 1;
      unansweredBytes += request.length;
      try {
        return await attempt(request, deadline, signal);
      } catch (error) {
        // Only what was certainly not sent to the host is sent again: the session was ending as we took it.
        if (!(error instanceof PeerError) || error.kind !== 'not processed') throw error;
        return await attempt(request, deadline, signal);
      } finally {
        calls -= 1;
        unansweredBytes -= request.length;
      }
    },
    stream(events) {
      calls += 1;
      return openPeerStream(take(), {
        message: events.message,
        ended(error) {
          calls -= 1;
          events.ended(error);
        },
      });
    },
    renew() {
      const former = session;
      session = undefined;
      former?.then(
        old => old.close(),
        () => {},
      );
    },
    count: () => calls,
    close() {
      const former = session;
      session = undefined;
      former?.then(
        old => old.destroy(),
        () => {},
      );
    },
  };
}
