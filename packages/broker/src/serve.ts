import {
  type Hangups,
  keepMetrics,
  type Logger,
  type PlacedSocket,
  pause,
  placeSocket,
  type Readiness,
  SocketError,
  type Task,
} from '@coold/runtime';
import { hintShutdown } from './agent/shutdown-hint.ts';
import type { BrokerConfig } from './config.ts';
import { createSendToHost } from './dispatch/send-to-host.ts';
import { type GrpcListener, listenGrpc } from './grpc/grpc.ts';
import { largestBody } from './hosts/router.ts';
import { type BrokerParts, createParts } from './parts.ts';
import { refuseMetricsPlace } from './status/metrics-place.ts';

/** How long parked dispatches may still be answered once the broker stops, in ms. */
const drainMs = 3000;
/** How long this broker's rows may take to be removed from Corrosion, in ms. Its agent may be stopping as well, which takes 5.1 s. */
const leaveMs = 6000;
/** How long the last replies may take to be written, in ms. */
const repliesMs = 1000;
/** The interval at which builds are checked for states whose time is over, in ms. */
const buildTickMs = 1000;
/** The interval at which it is checked that the socket still has its name, in ms. Without it no caller finds the socket. */
const socketCheckMs = 5000;
/** The interval at which live streams are checked for tokens that have expired, in ms. */
const expiryCheckMs = 1000;
/** PINGs of hosts' connections, in ms (docs/contract.md §1). */
const keepalive = { everyMs: 30_000, timeoutMs: 10_000 };

export interface ServeOptions {
  config: BrokerConfig;
  version: string;
  log: Logger;
  readiness: Readiness;
  hangups: Hangups;
}

/**
 * Returns the one task of the broker: it listens, reports that it is ready, and stops in order when the signal aborts. Then no new
 * work is accepted, streamed commands are told why they end, parked dispatches are answered or fail, and the hosts leave last.
 *
 * The task throws UnusableError when a key, certificate, address or socket cannot be used.
 */
export function serveBroker(options: ServeOptions): Task {
  return async signal => {
    const { readiness } = options;
    const broker = await ServedBroker.create(options);
    try {
      await broker.listen();
      await readiness.ready('serving');
      await broker.run(signal);
      void readiness.stopping();
      await broker.stop();
    } finally {
      await broker.close();
    }
  };
}

class ServedBroker {
  readonly #options: ServeOptions;
  /** Aborts at the end, to end the background work of the parts. */
  readonly #closed: AbortController;
  readonly #parts: BrokerParts;
  #grpc: GrpcListener | undefined;
  /** Laravel's socket. */
  #socket: PlacedSocket | undefined;
  /** Rejects when the part for other brokers fails for good. undefined: this broker is alone. */
  #peersRunning: Promise<void> | undefined;
  readonly #timers: NodeJS.Timeout[];
  /** Tasks that end with `#closed`. */
  readonly #background: Promise<void>[];

  static async create(options: ServeOptions): Promise<ServedBroker> {
    const { config, version, hangups, log } = options;
    // Without a listener, SIGHUP ends the process.
    hangups.on('SIGHUP', () => log.info('SIGHUP: files that may have changed are read again'));
    const closed = new AbortController();
    let broker: ServedBroker | undefined;
    const grpc = () => broker?.grpc;
    const parts = await createParts({ config, version, hangups, log, signal: closed.signal, grpc });
    broker = new ServedBroker(options, closed, parts);
    return broker;
  }

  private constructor(options: ServeOptions, closed: AbortController, parts: BrokerParts) {
    const { builds, tokens, verdict } = parts;
    this.#options = options;
    this.#closed = closed;
    this.#parts = parts;
    this.#timers = [
      setInterval(() => builds.tick(), buildTickMs),
      setInterval(tokens.endInvalidStreams, expiryCheckMs),
    ];
    this.#background = [this.#serveMetrics(), verdict.task(closed.signal)];
  }

  /** The listener for hosts, undefined before it listens. */
  get grpc(): GrpcListener | undefined {
    return this.#grpc;
  }

  /** Listens for hosts, then for other brokers, then for Laravel. @throws UnusableError or SocketError */
  async listen(): Promise<void> {
    const { config, log } = this.#options;
    const { tls, handler } = this.#parts;
    const pair = tls.pair();
    this.#grpc = await listenGrpc({
      bind: config.grpcBind,
      tls: pair,
      handler,
      keepalive,
      log: log.child('grpc'),
    });
    log.info({ address: this.#grpc.address, tls: pair !== undefined }, 'listening for coolds');
    await this.#servePeers();
    await this.#placeSocket();
    log.info({ path: config.unixSocketPath }, 'listening for Laravel');
  }

  /** Resolves once the signal aborts. @throws errors that no retry can solve */
  async run(signal: AbortSignal): Promise<void> {
    const failing = this.#peersRunning?.then(() => new Promise<never>(() => {}));
    await Promise.race([this.#watchSocket(signal), ...(failing === undefined ? [] : [failing])]);
  }

  /** Stops in order. Resolves when all work under way has ended or its time is over. */
  async stop(): Promise<void> {
    const { peers, hosts, streams, builds, pending, lane } = this.#parts;
    const left = peers?.leave(leaveMs);
    this.#grpc?.refuseNew();
    await this.#socket?.remove();
    streams.stop();
    builds.stop();
    const drained = pending.drain(drainMs);
    // Sent behind the last command: a host that has answered all of them may leave.
    hintShutdown(hosts);
    await drained;
    await Promise.all([lane.stop(repliesMs), left, peers?.close(repliesMs)]);
    for (const stream of hosts.list()) stream.close('stopping');
  }

  /** Cuts the connections that are left. */
  async close(): Promise<void> {
    const { lane, peers } = this.#parts;
    this.#closed.abort();
    await Promise.all(this.#background);
    for (const timer of this.#timers) clearInterval(timer);
    await this.#socket?.remove();
    await lane.stop(0);
    this.#grpc?.close();
    await peers?.close(0);
  }

  async #serveMetrics(): Promise<void> {
    const { config, log } = this.#options;
    const { metricsBind } = config;
    if (metricsBind === undefined) return;
    const serve = keepMetrics({
      bind: metricsBind,
      render: this.#parts.metrics.render,
      refusal: () => refuseMetricsPlace(metricsBind.host),
      onProblem: this.#parts.unserved.note('metrics', metricsBind),
      log: log.child('metrics'),
    });
    await serve(this.#closed.signal);
  }

  async #servePeers(): Promise<void> {
    const { peers, hosts, pending, builds, streams, tokens, routes, verbs } = this.#parts;
    const serving = await peers?.serve({
      sendDispatch: createSendToHost({ hosts, pending }),
      hosts,
      builds,
      streams,
      revocations: tokens.shared,
      verbs,
      maxCalls: this.#options.config.pendingMax,
      maxRequestBytes: largestBody(routes),
    });
    this.#peersRunning = serving?.running;
  }

  async #placeSocket(): Promise<void> {
    const { unixSocketPath: path, unixSocketGroup: name } = this.#options.config;
    this.#socket = await placeSocket({
      path,
      group: name === undefined ? undefined : { name, from: 'BROKER_UNIX_SOCKET_GROUP' },
      listen: at => this.#parts.lane.listen(at),
    });
  }

  /** Resolves once the signal aborts. @throws SocketError when the socket has lost its name: systemd restarts the broker */
  async #watchSocket(signal: AbortSignal): Promise<void> {
    const socket = this.#socket;
    while (!signal.aborted) {
      await pause(socketCheckMs, signal);
      if (!signal.aborted && socket !== undefined && !(await socket.isThere()))
        throw new SocketError(
          `${socket.path} is gone, or another took its place: callers cannot reach this broker`,
        );
    }
  }
}
