import { failure } from '@coold/errors';
import type { Hello, ServerMsg } from '@coold/proto';
import {
  type Backoff,
  type ChangeSignal,
  createBackoff,
  createChangeSignal,
  type Logger,
  pause,
  type Task,
} from '@coold/runtime';
import { status as grpcStatus } from '@grpc/grpc-js';
import type { ServeCommands } from '../transport/stream.ts';
import { type BrokerClock, createBrokerClock } from './broker-clock.ts';
import type { BrokerUrl } from './broker-url.ts';
import { type Credentials, followCredentials, type KnownCredentials } from './credentials.ts';
import { type Keepalive, Session } from './dial.ts';
import { failureFrame } from './failure-frame.ts';

export interface LinkOptions {
  url: BrokerUrl;
  tokenPath: string;
  caPath: string | undefined;
  /** Makes the first message of a stream, given the token. */
  hello: (token: string) => Promise<Hello>;
  serve: ServeCommands;
  log: Logger;
  /** Called with one line whenever the state of the stream changes. */
  onState: (line: string, connected: boolean) => void;
  /** Called after each read of the token and CA files. */
  onCredentials: (known: KnownCredentials) => void;
  /** Signals that this host's addresses or routes changed. */
  ways: Pick<ChangeSignal, 'count' | 'later'>;
  /** Signals that coold itself replaced the token, so that its file is read at once. */
  replaced?: Pick<ChangeSignal, 'count' | 'later'>;
  /** Receives the broker's time from its answers. */
  clock?: BrokerClock;
  /** The interval of questions for the broker's time while the clocks differ, in ms. */
  askTimeMs?: number;
  keepalive?: Keepalive;
  backoff?: Backoff;
  /** How long a dial may take until it has a connection, in ms. */
  connectMs?: number;
  /** How often the token and CA files are read while one of them is not usable, in ms. */
  lookMs?: number;
  /**
   * After a random time between half of this and all of it, in ms, the link leaves in good order and dials again;
   * undefined for never.
   */
  reconnectEveryMs?: number | undefined;
}

/** docs/contract.md §1. */
const defaultKeepalive: Keepalive = { everyMs: 30_000, timeoutMs: 10_000 };
const defaultConnectMs = 10_000;
const defaultLookMs = 2000;
/** How often usable files are read again, in ms, so that a new token is known before it is needed. */
const lookAtGoodMs = 60_000;
/** How long commands may take to finish once coold stops, in ms. */
const finishMs = 2000;
/** How long they may take when the broker stops, in ms. The broker waits no longer. */
const leaveMs = 3000;
const defaultAskTimeMs = 60_000;
/** The longest window of a broker that stops, in ms. A longer one is cut. */
const maxWindowMs = 300_000;
/** The window in which a host dials again that has left by itself, in ms. */
const reconnectWindowMs = 1000;

/**
 * Keeps the outbound stream up: dial, Hello, commands, and after any end a redial with backoff, or at once when this host's
 * addresses or routes change. Neither an unreachable broker nor an unusable token or CA ends the task: the broker is dialled
 * again, and the files are read again.
 */
export function keepLink(options: LinkOptions): Task {
  const { url, tokenPath, log, onState, onCredentials, ways } = options;
  const replaced = options.replaced ?? createChangeSignal();
  const { keepalive = defaultKeepalive, connectMs = defaultConnectMs, lookMs = defaultLookMs } = options;
  const credentials = followCredentials({ tokenPath, caPath: url.tls ? options.caPath : undefined }, log);
  const backoff = options.backoff ?? createBackoff({ firstMs: 1000, maxMs: 60_000 });
  const clock = options.clock ?? createBrokerClock();
  const sayClock = createSayClock(clock, log);
  return async stop => {
    const look = async () => {
      const known = await credentials.look();
      onCredentials(known);
      return known;
    };
    void (async () => {
      while (!stop.aborted) {
        await replaced.later(replaced.count(), lookAtGoodMs, stop);
        if (!stop.aborted) await look();
      }
    })();
    while (!stop.aborted) {
      const lookedAt = replaced.count();
      const { current, problem } = await look();
      if (current === undefined) {
        onState(`broker ${url.authority}: not dialled, ${problem}`, false);
        await replaced.later(lookedAt, lookMs, stop);
        continue;
      }
      const seen = ways.count();
      onState(`broker ${url.authority}: connecting`, false);
      const hello = await options.hello(current.token);
      const session = { ...options, ...current, keepalive, connectMs, seen, clock, sayClock };
      const { accepted, code, reason, comeBackWithinMs } = await new LinkSession(session, hello, stop).run();
      if (stop.aborted) return;
      if (comeBackWithinMs !== undefined) {
        backoff.reset();
        const waitMs = Math.floor(Math.random() * comeBackWithinMs);
        log.info({ broker: url.authority, redial_in_ms: waitMs }, 'left the broker; dialling again');
        onState(`broker ${url.authority}: between two streams`, false);
        await pause(waitMs, stop);
        continue;
      }
      // A host whose stream is replaced again and again has a twin. Backing off keeps the two from spinning.
      if (accepted && code !== grpcStatus.ABORTED) backoff.reset();
      const waitMs = backoff.next();
      log.warn(
        { broker: url.authority, reason, redial_in_ms: waitMs },
        'no stream to the broker; dialling again',
      );
      onState(`broker ${url.authority}: not connected (${reason})`, false);
      // A change while the stream was up did not end it, so it does not make the next dial more likely to succeed.
      await ways.later(accepted ? ways.count() : seen, waitMs, stop);
    }
  };
}

interface SessionEnd {
  accepted: boolean;
  code: number;
  reason: string;
  /** Set when this host left in good order: it dials again at a random moment within so many ms. */
  comeBackWithinMs: number | undefined;
}

/** What a session is opened with, beside the options of the link. */
interface SessionOptions extends LinkOptions, Credentials {
  keepalive: Keepalive;
  connectMs: number;
  /** The number of changes of addresses and routes before the dial. */
  seen: number;
  clock: BrokerClock;
  sayClock: () => void;
}

/** One stream from dial to end. Commands run side by side, and their answers leave as they finish. */
class LinkSession {
  readonly #options: SessionOptions;
  readonly #stop: AbortSignal;
  readonly #session: Session;
  /** Aborted once the stream is gone. */
  readonly #gone = new AbortController();
  readonly #take: (message: ServerMsg) => Promise<void>;
  /** The commands whose answers have not left yet. */
  readonly #atWork = new Set<Promise<void>>();
  #isForeignSaid = false;
  /** Set once this host leaves in good order: the window in which it dials again, in ms. */
  #comeBackWithinMs: number | undefined;
  #reconnect: NodeJS.Timeout | undefined;

  constructor(options: SessionOptions, hello: Hello, stop: AbortSignal) {
    this.#options = options;
    this.#stop = stop;
    this.#session = new Session(
      { ...options, hello },
      {
        accepted: () => this.#accepted(),
        date(text) {
          options.clock.told(text);
          options.sayClock();
        },
        command: message => this.#command(message),
        foreign: command => this.#foreign(command),
      },
    );
    this.#take = options.serve({ send: frame => this.#session.send(frame), gone: this.#gone.signal });
  }

  /** Resolves when the stream has ended, whichever side ended it. Never rejects. */
  async run(): Promise<SessionEnd> {
    const { ways, seen, connectMs, clock, sayClock, askTimeMs = defaultAskTimeMs } = this.#options;
    const onStop = () => this.#finish(finishMs);
    this.#stop.addEventListener('abort', onStop, { once: true });
    if (this.#stop.aborted) onStop();
    // Either clock may have been set since. A clock that was right needs no check.
    const asking = setInterval(() => {
      sayClock();
      if (clock.isOff()) this.#session.askTime();
    }, askTimeMs);
    const dialling = new AbortController();
    void ways.later(seen, connectMs, dialling.signal).then(() => {
      const hasChanged = ways.count() > seen;
      this.#session.abandon(
        hasChanged ? "this host's addresses or routes changed" : `no connection within ${connectMs / 1000} s`,
      );
    });
    const { accepted, status } = await this.#session.ended;
    dialling.abort();
    this.#stop.removeEventListener('abort', onStop);
    clearTimeout(this.#reconnect);
    clearInterval(asking);
    this.#gone.abort();
    return {
      accepted,
      code: status.code,
      reason: `${grpcStatus[status.code]}: ${withoutNote(status.details)}${certificateHint(status.details)}`,
      comeBackWithinMs: this.#comeBackWithinMs,
    };
  }

  #accepted(): void {
    const { url, log, onState, reconnectEveryMs } = this.#options;
    log.info({ broker: url.authority }, 'connected to the broker');
    onState(`broker ${url.authority}: connected`, true);
    if (reconnectEveryMs === undefined) return;
    // At a random moment, so that hosts that came together do not leave together.
    const inMs = reconnectEveryMs * (0.5 + Math.random() / 2);
    this.#reconnect = setTimeout(() => this.#leave(reconnectWindowMs), inMs);
  }

  #command(message: ServerMsg): void {
    if (message.command.case !== 'shutdownHint') {
      this.#work(this.#take(message));
      return;
    }
    const { url, log } = this.#options;
    const { windowMs } = message.command.value;
    log.info({ broker: url.authority, window_ms: windowMs }, 'the broker stops; leaving it');
    this.#leave(Math.min(windowMs, maxWindowMs));
  }

  /** Refuses a command of another dialect of the protocol. */
  #foreign({ requestId, field }: { requestId: string; field: number }): void {
    const { url, log } = this.#options;
    const what =
      `the body of the broker's command ${field} cannot be read: ` +
      'the broker seems to speak another dialect of this protocol (flux)';
    if (!this.#isForeignSaid)
      log.error({ broker: url.authority, request_id: requestId }, `${what}; nothing is done`);
    this.#isForeignSaid = true;
    this.#work(this.#session.send(failureFrame(requestId, failure('host_too_old', what))));
  }

  #work(done: Promise<void>): void {
    const tracked = done.finally(() => this.#atWork.delete(tracked));
    this.#atWork.add(tracked);
  }

  /** Leaves in good order, to dial again at a random moment of the window. */
  #leave(windowMs: number): void {
    if (this.#comeBackWithinMs !== undefined || this.#stop.aborted) return;
    this.#comeBackWithinMs = windowMs;
    this.#finish(leaveMs);
  }

  /** Waits for the commands under way, for `graceMs` at the most, and then ends the stream. */
  #finish(graceMs: number): void {
    const late = setTimeout(() => this.#session.cancel(), graceMs);
    void Promise.all(this.#atWork).then(() => this.#session.finish());
    void this.#session.ended.then(() => clearTimeout(late));
  }
}

/**
 * Returns a function that logs when the clocks begin to differ and when they agree again. It is also called between two answers of
 * the broker, since this host's clock may be set then.
 */
function createSayClock(clock: BrokerClock, log: Logger): () => void {
  let wasOff = false;
  return () => {
    const isOff = clock.isOff();
    const ahead_s = Math.round((clock.aheadMs() ?? 0) / 1000);
    if (isOff && !wasOff)
      log.warn(
        { ahead_s },
        "this host's clock and the broker's differ: tokens and certificates are judged wrongly",
      );
    else if (wasOff && !isOff) log.info({ ahead_s }, "this host's clock agrees with the broker's again");
    wasOff = isOff;
  };
}

/** Removes the empty note at the end of some details of grpc-js, and Node's advice for its own command line. Pure. */
function withoutNote(details: string): string {
  return details
    .replace(/\.? Resolution note: *$/, '')
    .replace(/; if the root CA is installed locally, try running Node\.js with --use-system-ca/, '');
}

/** What OpenSSL says of a certificate whose CA it does not have. */
const isUnknownAuthority =
  /unable to verify the first certificate|unable to get (local )?issuer certificate|self-signed certificate/i;

/** Returns a hint for a refused certificate: what else than the certificate may be wrong. Pure. */
function certificateHint(details: string): string {
  if (/certificate (has expired|is not yet valid)/i.test(details))
    return "; if the certificate is good, this host's clock is wrong";
  return isUnknownAuthority.test(details)
    ? "; this host does not trust the CA of the broker's certificate: see COOLD_BROKER_CA"
    : '';
}
