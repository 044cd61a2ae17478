import { type ClientHttp2Session, connect } from 'node:http2';
import { isIP } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Address } from '@coold/runtime';
import type { Credentials } from './credentials.ts';
import { keepAlive, type PeerKeepalive } from './keep-alive.ts';
import { formatAddress } from './peer-address.ts';
import { PeerError } from './peer-call.ts';

export interface DialPeerOptions {
  address: Address;
  credentials: Credentials;
  connectTimeoutMs: number;
  /** The PINGs of a session that is up. */
  keepalive: PeerKeepalive;
  /** The other broker takes no more calls on the session. Calls under way end in their time. */
  onGoaway(): void;
  /** Called once: the session is over, or there never was one. @param why for people */
  onLost(why: string): void;
}

/** How many bytes may come without being asked for, for each call and for all: an answer of 4 MiB takes few round trips. */
const windowBytes = 1024 * 1024;
const sessionWindowBytes = 16 * 1024 * 1024;
/** How much memory a session may hold, in MB. Node's 10 would end calls when a few answers are large. */
const maxSessionMemory = 512;

/**
 * Dials another broker.
 *
 * @returns the session, once the other broker has spoken HTTP/2: only then has it accepted the certificate
 * @throws PeerError `unreachable`
 */
export function dialPeer(options: DialPeerOptions): Promise<ClientHttp2Session> {
  return new Dial(options).session;
}

/** One session with another broker, from the dial to its end. `#why` is what it is lost for when it ends now. */
class Dial {
  readonly session: Promise<ClientHttp2Session>;
  readonly #options: DialPeerOptions;
  readonly #settle: Pick<PromiseWithResolvers<ClientHttp2Session>, 'resolve' | 'reject'>;
  readonly #socket: TLSSocket;
  readonly #http2: ClientHttp2Session;
  readonly #timer: NodeJS.Timeout;
  #why = 'it ended the connection before it spoke; does it take the certificate of this broker?';
  #isLost = false;

  constructor(options: DialPeerOptions) {
    const { address, credentials, connectTimeoutMs } = options;
    const { promise, resolve, reject } = Promise.withResolvers<ClientHttp2Session>();
    this.session = promise;
    this.#settle = { resolve, reject };
    this.#options = options;
    // A socket of our own, because a session emits nothing when the other side refuses our certificate.
    const socket = connectTls({
      ...credentials,
      host: address.host,
      port: address.port,
      servername: isIP(address.host) === 0 ? address.host : '',
      ALPNProtocols: ['h2'],
      minVersion: 'TLSv1.3',
    });
    this.#socket = socket;
    this.#http2 = connect(`https://${formatAddress(address)}`, {
      createConnection: () => socket,
      maxSessionMemory,
      settings: { enablePush: false, initialWindowSize: windowBytes },
    });
    this.#timer = setTimeout(
      () => this.#fail(`no connection within ${connectTimeoutMs} ms`),
      connectTimeoutMs,
    );
    this.#listen();
  }

  #listen(): void {
    this.#http2.once('remoteSettings', () => this.#connected());
    this.#http2.once('goaway', () => this.#options.onGoaway());
    this.#http2.on('error', error => {
      this.#why = error.message;
    });
    // It may be the only event: after a TLS alert neither the socket nor the session emits `close`.
    this.#socket.on('error', error => this.#fail(error.message));
    this.#http2.once('close', () => this.#lose());
    this.#socket.once('close', () => this.#lose());
  }

  #connected(): void {
    clearTimeout(this.#timer);
    this.#why = 'the connection was lost';
    this.#http2.setLocalWindowSize(sessionWindowBytes);
    keepAlive(this.#http2, this.#options.keepalive);
    this.#settle.resolve(this.#http2);
  }

  #fail(why: string): void {
    this.#why = why;
    this.#lose();
  }

  #lose(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    clearTimeout(this.#timer);
    this.#http2.destroy();
    this.#socket.destroy();
    this.#settle.reject(new PeerError('unreachable', `cannot be reached: ${this.#why}`));
    this.#options.onLost(this.#why);
  }
}
