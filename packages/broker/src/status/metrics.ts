import { endsSoon, type Life } from '@coold/runtime';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { endingTokens } from '../agent/ending-tokens.ts';
import type { HostCounts } from '../agent/host-counts.ts';
import type { Builds } from '../builds/builds.ts';
import type { Pending } from '../dispatch/pending.ts';
import type { DispatchRecord } from '../dispatch/record-dispatches.ts';
import type { GrpcListener } from '../grpc/grpc.ts';
import type { AwayHosts } from '../hosts/away-hosts.ts';
import type { Hosts } from '../hosts/hosts.ts';
import type { ForwardOutcome, RecordForward } from '../peers/forward/forward.ts';
import type { PeerStats } from '../peers/peers.ts';
import type { Streams } from '../streams/streams.ts';
import { type Bucket, latencyLimits, readBuckets } from './latency.ts';

/** This process's metrics for Prometheus. Labels come from closed sets, never from what a host or a caller sends. */
export interface Metrics {
  dispatched(dispatch: Pick<DispatchRecord, 'verb' | 'outcome' | 'durationMs'>): void;
  /** Returns the number of each outcome, and the durations of those that a host took part in. */
  dispatches(): Promise<{ byOutcome: Record<string, number>; latency: Bucket[] }>;
  /** A dispatch that another broker was asked to send. */
  forwarded: RecordForward;
  /** Returns the number of each outcome of forwards, and the durations of those that were answered. */
  forwards(): Promise<{ byOutcome: Record<string, number>; latency: Bucket[] }>;
  /** Registers metrics whose values are read at each scrape. */
  watch(sources: Sources): void;
  render(): Promise<{ contentType: string; text: string }>;
}

export interface Sources {
  hosts: Pick<Hosts, 'list'>;
  counts: HostCounts;
  /** Hosts that left within a day and are not back. */
  awayHosts: AwayHosts['list'];
  /** How many problems `broker status` names. */
  problems: () => number;
  pending: Pick<Pending, 'counts' | 'evictions'>;
  pendingMax: number;
  streams: Pick<Streams, 'count'>;
  builds: Pick<Builds, 'counts' | 'evictions'>;
  connections: GrpcListener['connections'];
  /** Of the gRPC listener's certificate; undefined: plain HTTP/2. */
  certificate: () => Life | undefined;
  /** Undefined: this broker is alone. */
  peers: (() => PeerStats) | undefined;
}

/** How often the event loop's delay is sampled, in ms. The library's 10 ms would be a hundred wake-ups a second. */
const eventLoopMonitoringPrecision = 100;

/** The outcomes of forwards that show how fast other brokers are. */
const answeredForward: readonly ForwardOutcome[] = ['answered'];

/** Uses its own registry, so that each instance has only what it counted. */
export function createMetrics(
  version: string,
  { dispatchTimeoutSecs }: { dispatchTimeoutSecs: number },
): Metrics {
  const buckets = latencyLimits(dispatchTimeoutSecs);
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision });
  const registers = [registry];
  new Gauge({
    name: 'broker_build_info',
    help: 'Version of the program and of Node; always 1',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version, node: process.version }, 1);
  const duration = new Histogram({
    name: 'broker_dispatch_duration_seconds',
    help: 'Time from a dispatch to its answer, by verb and outcome; verb none: no verb was recognised',
    labelNames: ['verb', 'outcome'],
    buckets,
    registers,
  });
  const forwardDuration = new Histogram({
    name: 'broker_forward_duration_seconds',
    help: 'Time of dispatches that another broker was asked to send, by outcome',
    labelNames: ['outcome'],
    buckets,
    registers,
  });
  return {
    forwarded: ({ outcome, durationMs }) => forwardDuration.observe({ outcome }, durationMs / 1000),
    forwards: async () => readBuckets((await forwardDuration.get()).values, answeredForward),
    dispatched: ({ verb, outcome, durationMs }) => duration.observe({ verb, outcome }, durationMs / 1000),
    dispatches: async () => readBuckets((await duration.get()).values),
    watch: sources => watch(registry, sources),
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}

function watch(registry: Registry, sources: Sources): void {
  const readings = new Readings(registry);
  watchHosts(readings, sources);
  watchCertificates(registry, sources);
  watchCommands(readings, sources);
  watchPeers(readings, sources.peers ?? (() => undefined));
}

/** Registers metrics whose values are read at each scrape. */
class Readings {
  readonly #registers: Registry[];

  constructor(registry: Registry) {
    this.#registers = [registry];
  }

  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: this.#registers,
      collect() {
        this.set(read());
      },
    });
  }

  /** @param read returns a value for each state */
  gauges(name: string, help: string, read: () => Record<string, number>): void {
    new Gauge({
      name,
      help,
      labelNames: ['state'],
      registers: this.#registers,
      collect() {
        for (const [state, value] of Object.entries(read())) this.set({ state }, value);
      },
    });
  }

  counter(name: string, help: string, read: () => number): void {
    new Counter({
      name,
      help,
      registers: this.#registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }

  /** @param read returns a value for each reason */
  counters(name: string, help: string, read: () => Iterable<[string, number]>): void {
    new Counter({
      name,
      help,
      labelNames: ['reason'],
      registers: this.#registers,
      collect() {
        this.reset();
        for (const [reason, value] of read()) this.inc({ reason }, value);
      },
    });
  }
}

function watchHosts(readings: Readings, { hosts, awayHosts, problems, connections, counts }: Sources): void {
  readings.gauge('broker_hosts', 'Hosts that are connected', () => hosts.list().length);
  readings.gauge(
    'broker_hosts_away',
    'Hosts that left within a day and are not back',
    () => awayHosts().length,
  );
  readings.gauge('broker_problems', 'Problems that `broker status` names, judged every 15 seconds', problems);
  readings.gauge(
    'broker_ending_tokens',
    'Hosts whose token must be renewed now: 14 days before it ends, or in the last quarter of its life',
    () => endingTokens(hosts.list(), Date.now()).length,
  );
  readings.gauges('broker_connections', 'TCP connections of the gRPC listener; idle: without a host', () => {
    const { open, idle } = connections();
    return { host: open - idle, idle };
  });
  readings.counter('broker_host_connects_total', 'Host streams accepted', () => counts.connects);
  readings.counter(
    'broker_host_replacements_total',
    'Host streams that replaced a live stream of the same host',
    () => counts.replacements,
  );
  readings.counters('broker_host_disconnects_total', 'Host streams that ended, by reason', () => counts.left);
  readings.counters(
    'broker_auth_failures_total',
    'Host streams refused because of their token, by reason',
    () => counts.authFailures,
  );
  readings.counter(
    'broker_refused_hellos_total',
    'Host streams refused because of a bad or missing Hello',
    () => counts.refusedHellos,
  );
  readings.counters(
    'broker_ignored_frames_total',
    'Frames of hosts that were ignored, by reason',
    () => counts.ignored,
  );
}

function watchCertificates(registry: Registry, { certificate: ofGrpc, peers }: Sources): void {
  const ofCertificates = (name: string, help: string, read: (life: Life, now: number) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['certificate'],
      registers: [registry],
      collect() {
        this.reset();
        const [grpc, routes, routes_ca] = [ofGrpc(), peers?.().certificate(), peers?.().authority()];
        for (const [certificate, life] of Object.entries({ grpc, routes, routes_ca }))
          if (life !== undefined) this.set({ certificate }, read(life, Date.now()));
      },
    });
  ofCertificates(
    'broker_certificate_left_seconds',
    'Seconds until a certificate expires; negative once it has',
    ({ ends }, now) => (ends - now) / 1000,
  );
  ofCertificates(
    'broker_certificate_to_renew',
    '1: the certificate must be renewed, 14 days before it ends or in the last quarter of a shorter life; otherwise 0',
    (life, now) => (endsSoon(life, now) ? 1 : 0),
  );
}

function watchCommands(readings: Readings, { pending, pendingMax, streams, builds }: Sources): void {
  readings.gauges('broker_pending', 'Dispatches in progress, by state', () => ({ ...pending.counts() }));
  readings.gauge(
    'broker_pending_max',
    'Limit for dispatches, streams and builds in progress together',
    () => pendingMax,
  );
  readings.counter(
    'broker_landed_evictions_total',
    'Answers dropped before a caller read them, to make room',
    () => pending.evictions().landed,
  );
  readings.counter(
    'broker_overdue_evictions_total',
    'Dispatches without an answer forgotten early, to make room',
    () => pending.evictions().overdue,
  );
  readings.gauge('broker_streamed_commands', 'Streamed commands in progress', () => streams.count());
  readings.gauges('broker_builds', 'Builds, by state', () => ({ ...builds.counts() }));
  readings.counter(
    'broker_build_evictions_total',
    'Results of builds dropped before a caller read them, to make room',
    () => builds.evictions(),
  );
}

/** @param stats returns undefined where the broker is alone */
function watchPeers(readings: Readings, stats: () => PeerStats | undefined): void {
  readings.gauges(
    'broker_routes',
    'Hosts with a route, by where it leads; lapsed: only dead brokers have one',
    () => ({ ...(stats()?.routes() ?? { here: 0, elsewhere: 0, lapsed: 0 }) }),
  );
  readings.gauges('broker_others', 'Other brokers that are known, by the state of their heartbeat', () => {
    const counted = { alive: 0, dead: 0, without_heartbeat: 0 };
    for (const { isDead, stillMs } of stats()?.others() ?? [])
      counted[isDead ? 'dead' : stillMs === undefined ? 'without_heartbeat' : 'alive'] += 1;
    return counted;
  });
  readings.gauge(
    'broker_heartbeat_age_seconds',
    'Seconds since this broker wrote its heartbeat; 0 where it is alone, or Corrosion has no table for it',
    () => (stats()?.heartbeatAgeMs() ?? 0) / 1000,
  );
  readings.gauge(
    'broker_heartbeat_ttl_seconds',
    'Seconds without a new heartbeat after which a broker counts as dead; 0 where this one is alone',
    () => (stats()?.ttlMs ?? 0) / 1000,
  );
  readings.counters(
    'broker_build_forwards_total',
    'Calls about builds made at other brokers, by outcome',
    () => stats()?.builds ?? [],
  );
  readings.gauge(
    'broker_routes_followed',
    '1: Corrosion reports every change of routes to this broker',
    () => (stats()?.followed === true ? 1 : 0),
  );
  readings.gauge(
    'broker_routes_unwritten',
    'Own routes that are not in Corrosion yet',
    () => stats()?.unwritten ?? 0,
  );
  readings.counter(
    'broker_route_write_failures_total',
    'Transactions of own routes that failed; each is tried again',
    () => stats()?.writeFailures ?? 0,
  );
  readings.gauge('broker_peers', 'Other brokers that this one has a link to', () => stats()?.links ?? 0);
  readings.counters(
    'broker_forwards_taken_total',
    'Dispatches that other brokers sent here, by outcome',
    () => stats()?.taken ?? [],
  );
}
