import type { ClientHttp2Session } from 'node:http2';
import { forwardPath } from '@coold/proto';
import { type Address, type Backoff, createBackoff, type Logger } from '@coold/runtime';
import type { Credentials } from './credentials.ts';
import { dialPeer } from './dial-peer.ts';
import { defaultKeepalive, type PeerKeepalive } from './keep-alive.ts';
import { peerAddress } from './peer-address.ts';
import { callOnce, PeerError } from './peer-call.ts';
import { openPeerStream, type PeerStream, type PeerStreamEvents } from './peer-stream.ts';

/** The link to one other broker: one HTTP/2 session, which is dialled when it is first needed and again after it was lost. */
export interface PeerLink {
  /**
   * Calls BrokerPeer.Forward once.
   *
   * @param timeoutMs how long the other broker waits for its host
   * @param signal ends the call on both sides
   * @throws PeerError
   */
  forward(request: Uint8Array, timeoutMs: number, signal: AbortSignal): Promise<Buffer>;
  /** The same for another method, by its path. Its calls change nothing, so they may be repeated. @throws PeerError */
  call(path: string, request: Uint8Array, timeoutMs: number, signal: AbortSignal): Promise<Buffer>;
  /** Opens a call whose messages are streams. What is written before there is a connection waits for it. */
  stream(path: string, events: PeerStreamEvents): PeerStream;
  /** Calls under way end in their time. The next call dials anew, with the credentials of that moment. */
  renew(): void;
  /** Returns how many calls are under way. */
  count(): number;
  /** Ends all calls. */
  close(): void;
}

export interface PeerLinkOptions {
  /** The id of the other broker, for the log. */
  brokerId: string;
  /** Where it is dialled, `host:port`. */
  address: string;
  credentials: () => Credentials;
  connectTimeoutMs: number;
  /** The PINGs of a session that is up. */
  keepalive?: PeerKeepalive;
  backoff?: { firstMs: number; maxMs: number };
  log: Logger;
}

/** The most bytes of commands on the way to one broker. Beyond them it does not read what is sent to it. */
const maxUnansweredBytes = 64 * 1024 * 1024;
const defaultBackoff = { firstMs: 100, maxMs: 5000 };

/** @throws PeerError `unreachable` for an address that cannot be dialled */
export function createPeerLink(options: PeerLinkOptions): PeerLink {
  return new Link(options);
}

/** The state of a link. Allowed transitions: idle → dialled, dialled → idle or refused, refused → dialled. */
type LinkState =
  /** There is no session. The next call dials. */
  | { name: 'idle' }
  /** A session is being dialled or is up. Calls use it. */
  | { name: 'dialled'; session: Promise<ClientHttp2Session> }
  /** The last session was lost. Calls fail at once until `until`, in ms of the monotonic clock; the next one after it dials. */
  | { name: 'refused'; until: number; why: string };

class Link implements PeerLink {
  readonly #options: PeerLinkOptions;
  readonly #address: Address;
  readonly #backoff: Backoff;
  #state: LinkState = { name: 'idle' };
  /** How many calls are under way. */
  #calls = 0;
  /** The bytes of the commands that are not answered yet. */
  #unansweredBytes = 0;

  constructor(options: PeerLinkOptions) {
    const address = peerAddress.parse(options.address);
    if (address === undefined)
      throw new PeerError('unreachable', `has a wrong address: expected ${peerAddress.expected}`);
    this.#options = options;
    this.#address = address;
    this.#backoff = createBackoff(options.backoff ?? defaultBackoff);
  }

  forward(request: Uint8Array, timeoutMs: number, signal: AbortSignal): Promise<Buffer> {
    return this.call(forwardPath, request, timeoutMs, signal);
  }

  async call(path: string, request: Uint8Array, timeoutMs: number, signal: AbortSignal): Promise<Buffer> {
    if (this.#unansweredBytes + request.length > maxUnansweredBytes)
      throw new PeerError('busy', 'does not read what is sent to it');
    const deadline = performance.now() + timeoutMs;
    this.#calls += 1;
    this.#unansweredBytes += request.length;
    try {
      return await this.#callOn(this.#take(), path, request, deadline, signal);
    } catch (error) {
      // Repeated only where the other side has certainly not looked at it: the session was just ending.
      if (!(error instanceof PeerError) || error.kind !== 'not processed') throw error;
      return await this.#callOn(this.#take(), path, request, deadline, signal);
    } finally {
      this.#calls -= 1;
      this.#unansweredBytes -= request.length;
    }
  }

  stream(path: string, events: PeerStreamEvents): PeerStream {
    this.#calls += 1;
    return openPeerStream(this.#take(), path, {
      message: events.message,
      ended: error => {
        this.#calls -= 1;
        events.ended(error);
      },
    });
  }

  renew(): void {
    this.#leave(session => session.close());
  }

  count(): number {
    return this.#calls;
  }

  close(): void {
    this.#leave(session => session.destroy());
  }

  async #callOn(
    session: Promise<ClientHttp2Session>,
    path: string,
    request: Uint8Array,
    deadline: number,
    signal: AbortSignal,
  ): Promise<Buffer> {
    const taken = await session;
    return callOnce(taken, path, request, Math.max(1, Math.ceil(deadline - performance.now())), signal);
  }

  /** Returns the session, which is dialled where there is none. */
  async #take(): Promise<ClientHttp2Session> {
    const state = this.#state;
    if (state.name === 'dialled') return state.session;
    if (state.name === 'refused' && performance.now() < state.until)
      throw new PeerError('unreachable', `cannot be reached: ${state.why}`);
    const session = this.#dial();
    this.#state = { name: 'dialled', session };
    return session;
  }

  #dial(): Promise<ClientHttp2Session> {
    const {
      brokerId,
      address,
      credentials,
      connectTimeoutMs,
      keepalive = defaultKeepalive,
      log,
    } = this.#options;
    const session = dialPeer({
      address: this.#address,
      credentials: credentials(),
      connectTimeoutMs,
      keepalive,
      onGoaway: () => {
        if (this.#isCurrent(session)) this.#state = { name: 'idle' };
      },
      onLost: why => {
        if (this.#isCurrent(session)) this.#refuse(why);
      },
    });
    session.then(
      () => {
        this.#backoff.reset();
        log.info({ broker_id: brokerId, address }, 'connected to another broker');
      },
      () => {},
    );
    return session;
  }

  #isCurrent(session: Promise<ClientHttp2Session>): boolean {
    return this.#state.name === 'dialled' && this.#state.session === session;
  }

  /** dialled → refused: the current session was lost. */
  #refuse(why: string): void {
    const { brokerId, address, log } = this.#options;
    const waitMs = this.#backoff.next();
    this.#state = { name: 'refused', until: performance.now() + waitMs, why };
    const line = { broker_id: brokerId, address, why, again_in_ms: waitMs };
    log.warn(line, 'no connection to another broker; dialled again when it is needed');
  }

  /** dialled → idle. @param end called with the session, once it is up */
  #leave(end: (session: ClientHttp2Session) => void): void {
    if (this.#state.name !== 'dialled') return;
    const { session } = this.#state;
    this.#state = { name: 'idle' };
    session.then(end, () => {});
  }
}
