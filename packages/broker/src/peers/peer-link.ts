import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { forwardPath, maxResponseBytes } from '@coold/proto';
import { createBackoff, type Logger } from '@coold/runtime';
import { grpcStatus } from '../grpc-status.ts';
import { createMessageReader, frameMessage } from '../message-reader.ts';
import type { Credentials } from './credentials.ts';

/** Why another broker did not answer; the message completes "broker b at a …". */
export class PeerError extends Error {
  readonly kind: 'unreachable' | 'broke off' | 'refused' | 'busy' | 'cancelled';
  constructor(kind: PeerError['kind'], message: string) {
    super(message);
    this.name = 'PeerError';
    this.kind = kind;
  }
}

/** The way to one other broker: one HTTP/2 session, dialled when it is first needed and again after it was lost. */
export interface PeerLink {
  /**
   * Forwards once. `timeoutMs` is told to the other side; the signal ends the call on both.
   *
   * @throws PeerError
   */
  forward(request: Uint8Array, timeoutMs: number, signal: AbortSignal): Promise<Buffer>;
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
  /** PINGs of a session that is up, in ms: a silent peer is given up after both together. */
  keepalive?: { everyMs: number; timeoutMs: number };
  backoff?: { firstMs: number; maxMs: number };
  log: Logger;
}

/** An answer, and what is around it. */
const maxAnswerBytes = maxResponseBytes + 64 * 1024;
/** Of commands on the way to one peer; beyond it, it does not read. */
const maxUnansweredBytes = 64 * 1024 * 1024;
const defaultKeepalive = { everyMs: 5000, timeoutMs: 5000 };
const defaultBackoff = { firstMs: 100, maxMs: 5000 };
/** What may come without being asked for, for each call and for all together: an answer of 4 MiB in few round trips. */
const windowBytes = 1024 * 1024;
const sessionWindowBytes = 16 * 1024 * 1024;
/** MB that a session may hold; Node's 10 would end calls when a few answers are large. */
const maxSessionMemory = 512;

export function createPeerLink(options: PeerLinkOptions): PeerLink {
  const { brokerId, address, credentials, connectTimeoutMs, log } = options;
  const peer = { broker_id: brokerId, address };
  const keepalive = options.keepalive ?? defaultKeepalive;
  const backoff = createBackoff(options.backoff ?? defaultBackoff);
  let session: Promise<ClientHttp2Session> | undefined;
  let refusedUntil = { at: 0, why: '' };
  let calls = 0;
  let unansweredBytes = 0;

  /** Resolves once the other side has spoken HTTP/2: only then has it taken our certificate. */
  function dial(): Promise<ClientHttp2Session> {
    const { promise, resolve, reject } = Promise.withResolvers<ClientHttp2Session>();
    const dialled = connect(`https://${address}`, {
      ...credentials(),
      ...{ ALPNProtocols: ['h2'], minVersion: 'TLSv1.3', maxSessionMemory },
      settings: { enablePush: false, initialWindowSize: windowBytes },
    });
    let why = `no connection within ${connectTimeoutMs} ms`;
    let ping: NodeJS.Timeout | undefined;
    const timer = setTimeout(() => dialled.destroy(), connectTimeoutMs);
    const forget = () => {
      if (session === promise) session = undefined;
    };
    dialled.once('remoteSettings', () => {
      clearTimeout(timer);
      backoff.reset();
      why = 'the connection was lost';
      dialled.setLocalWindowSize(sessionWindowBytes);
      ping = keepAlive(dialled, keepalive);
      log.info(peer, 'connected to another broker');
      resolve(dialled);
    });
    dialled.once('goaway', forget);
    dialled.on('error', error => {
      why = error.message;
    });
    dialled.once('close', () => {
      clearTimeout(timer);
      clearInterval(ping);
      const isCurrent = session === promise;
      forget();
      reject(new PeerError('unreachable', `cannot be reached: ${why}`));
      if (!isCurrent) return;
      const waitMs = backoff.next();
      refusedUntil = { at: performance.now() + waitMs, why };
      log.warn(
        { ...peer, why, again_in_ms: waitMs },
        'no connection to another broker; dialled again when it is needed',
      );
    });
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

  return {
    async forward(request, timeoutMs, signal) {
      if (unansweredBytes + request.length > maxUnansweredBytes)
        throw new PeerError('busy', 'does not read what it is sent');
      const deadline = performance.now() + timeoutMs;
      calls += 1;
      unansweredBytes += request.length;
      try {
        const taken = await take();
        return await callOnce(taken, request, Math.max(1, Math.ceil(deadline - performance.now())), signal);
      } finally {
        calls -= 1;
        unansweredBytes -= request.length;
      }
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

/** PINGs, and destroys a session that does not answer: a peer that is cut off would cost each dispatch its whole time. */
function keepAlive(
  session: ClientHttp2Session,
  { everyMs, timeoutMs }: { everyMs: number; timeoutMs: number },
) {
  return setInterval(() => {
    if (session.destroyed || session.closed) return;
    const timer = setTimeout(() => session.destroy(new Error('it answers no PING')), timeoutMs);
    try {
      session.ping(() => clearTimeout(timer));
    } catch {
      clearTimeout(timer);
    }
  }, everyMs);
}

/** One unary call. @throws PeerError */
function callOnce(
  session: ClientHttp2Session,
  request: Uint8Array,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  if (signal.aborted) throw new PeerError('cancelled', 'was not asked');
  const stream = session.request({
    ':method': 'POST',
    ':path': forwardPath,
    'content-type': 'application/grpc+proto',
    te: 'trailers',
    'grpc-timeout': `${Math.min(timeoutMs, 99_999_999)}m`,
  });
  const reader = createMessageReader();
  let answer: Buffer | undefined;
  let why: PeerError | undefined;
  const fail = (error: PeerError) => {
    why ??= error;
    stream.close(constants.NGHTTP2_CANCEL);
  };
  const cancel = () => fail(new PeerError('cancelled', 'is no longer asked'));
  const readStatus = (headers: Record<string, unknown>) => {
    const code = headers['grpc-status'];
    if (code === undefined || code === String(grpcStatus.OK)) return;
    const details = String(headers['grpc-message'] ?? '').slice(0, 512);
    fail(new PeerError('refused', `answered with gRPC status ${String(code).slice(0, 16)}: ${details}`));
  };
  signal.addEventListener('abort', cancel, { once: true });
  stream.on('error', (error: Error) => {
    why ??= new PeerError('broke off', `broke off: ${error.message}`);
  });
  stream.once('response', headers => {
    if (headers[':status'] !== 200)
      fail(new PeerError('refused', `answered with HTTP status ${headers[':status']}`));
    readStatus(headers);
  });
  stream.once('trailers', readStatus);
  stream.on('data', (chunk: Buffer) => {
    const wrong = reader.read(
      chunk,
      () => maxAnswerBytes,
      message => {
        if (answer === undefined) answer = Buffer.from(message);
        else fail(new PeerError('refused', 'answered twice'));
      },
    );
    if (wrong !== undefined) fail(new PeerError('refused', `answered badly: ${wrong.details}`));
  });
  stream.once('close', () => {
    signal.removeEventListener('abort', cancel);
    if (why !== undefined) reject(why);
    else if (answer === undefined) reject(new PeerError('broke off', 'ended without an answer'));
    else resolve(answer);
  });
  stream.end(frameMessage(request));
  return promise;
}
