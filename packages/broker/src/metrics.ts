import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Builds } from './builds.ts';
import type { GrpcListener } from './grpc.ts';
import type { HostCounts } from './host-counts.ts';
import type { Hosts } from './hosts.ts';
import { type Bucket, readBuckets } from './latency.ts';
import type { ForwardOutcome, RecordForward } from './peers/forward.ts';
import type { PeerStats } from './peers/peers.ts';
import type { Pending } from './pending.ts';
import type { DispatchRecord } from './record-dispatches.ts';
import type { Streams } from './streams.ts';

/** What Prometheus reads of this process. Labels come from closed sets, never from what a host or a caller sends. */
export interface Metrics {
  dispatched(dispatch: Pick<DispatchRecord, 'verb' | 'outcome' | 'durationMs'>): void;
  /** How often each outcome has come, and how long those took that a host had a part in. */
  dispatches(): Promise<{ byOutcome: Record<string, number>; latency: Bucket[] }>;
  /** A dispatch that another broker was asked to send. */
  forwarded: RecordForward;
  /** How often each outcome of that has come, and how long those took that were answered. */
  forwards(): Promise<{ byOutcome: Record<string, number>; latency: Bucket[] }>;
  /** Adds what is read whenever the metrics are. */
  watch(sources: Sources): void;
  render(): Promise<{ contentType: string; text: string }>;
}

export interface Sources {
  hosts: Pick<Hosts, 'list'>;
  counts: HostCounts;
  pending: Pick<Pending, 'counts' | 'evictions'>;
  pendingMax: number;
  streams: Pick<Streams, 'count'>;
  builds: Pick<Builds, 'counts' | 'evictions'>;
  connections: GrpcListener['connections'];
  /** Undefined: this broker is alone. */
  peers: (() => PeerStats) | undefined;
}

/** In seconds: from an answer of the same machine to the longest dispatch timeout anybody sets. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];
/** How often the event loop's delay is sampled, in ms: the 10 of the library are a hundred wake-ups a second. */
const eventLoopMonitoringPrecision = 100;

/** Of forwards, those that say how fast other brokers are. */
const answeredForward: readonly ForwardOutcome[] = ['answered'];

/** In a registry of its own, so that each has only what it counted. */
export function createMetrics(version: string): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision });
  const registers = [registry];
  new Gauge({
    name: 'broker_build_info',
    help: 'What runs here; always 1',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version, node: process.version }, 1);
  const duration = new Histogram({
    name: 'broker_dispatch_duration_seconds',
    help: 'How long dispatches took until their answer was there, by verb and how they came out; verb none: it was none',
    labelNames: ['verb', 'outcome'],
    buckets,
    registers,
  });
  const forwardDuration = new Histogram({
    name: 'broker_forward_duration_seconds',
    help: 'How long dispatches took that another broker was asked to send, by how that came out',
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
  const { hosts, counts, pending, pendingMax, streams, builds, connections, peers } = sources;
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      ...{ name, help, registers },
      collect() {
        this.set(read());
      },
    });
  const gauges = (name: string, help: string, read: () => Record<string, number>) =>
    new Gauge({
      ...{ name, help, labelNames: ['state'], registers },
      collect() {
        for (const [state, value] of Object.entries(read())) this.set({ state }, value);
      },
    });
  const counter = (name: string, help: string, read: () => number) =>
    new Counter({
      ...{ name, help, registers },
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  const counters = (name: string, help: string, read: () => Iterable<[string, number]>) =>
    new Counter({
      ...{ name, help, labelNames: ['reason'], registers },
      collect() {
        this.reset();
        for (const [reason, value] of read()) this.inc({ reason }, value);
      },
    });

  gauge('broker_hosts', 'Hosts that are connected', () => hosts.list().length);
  gauges('broker_connections', 'TCP connections of the gRPC listener; idle: without a host', () => {
    const { open, idle } = connections();
    return { host: open - idle, idle };
  });
  counter('broker_host_connects_total', 'Streams that hosts were taken in with', () => counts.connects);
  counter(
    'broker_host_replacements_total',
    'Streams that took the place of a live one of the same host',
    () => counts.replacements,
  );
  counters('broker_host_disconnects_total', "Hosts' streams that are over, by why", () => counts.left);
  counters('broker_auth_failures_total', 'Streams refused by their token, by why', () => counts.authFailures);
  counter(
    'broker_refused_hellos_total',
    'Streams refused by their Hello, or for want of one',
    () => counts.refusedHellos,
  );
  counters(
    'broker_ignored_frames_total',
    'Frames of hosts that changed nothing, by why',
    () => counts.ignored,
  );
  gauges('broker_pending', 'Dispatches under way, by state', () => ({ ...pending.counts() }));
  gauge('broker_pending_max', 'How many of them there can be, with streams and builds', () => pendingMax);
  counter(
    'broker_landed_evictions_total',
    'Answers that nobody had read, gone before their time to make room',
    () => pending.evictions().landed,
  );
  counter(
    'broker_overdue_evictions_total',
    'Dispatches without an answer, forgotten before their time to make room',
    () => pending.evictions().overdue,
  );
  gauge('broker_streamed_commands', 'Streamed commands under way', () => streams.count());
  gauges('broker_builds', 'Builds, by state', () => ({ ...builds.counts() }));
  counter(
    'broker_build_evictions_total',
    'Results of builds that nobody had read, gone before their time to make room',
    () => builds.evictions(),
  );
  gauges('broker_routes', 'Hosts with a route, by where it leads', () => ({
    ...(peers?.().routes() ?? { here: 0, elsewhere: 0 }),
  }));
  gauge('broker_routes_followed', '1: Corrosion tells this broker every change of routes', () =>
    peers?.().followed === true ? 1 : 0,
  );
  gauge(
    'broker_routes_unwritten',
    'Own routes that are not in Corrosion yet',
    () => peers?.().unwritten ?? 0,
  );
  counter(
    'broker_route_write_failures_total',
    'Transactions of own routes that failed, and are done again',
    () => peers?.().writeFailures ?? 0,
  );
  gauge('broker_peers', 'Other brokers that this one has a link to', () => peers?.().links ?? 0);
  counters(
    'broker_forwards_taken_total',
    'Dispatches that other brokers have sent here, by what became of them',
    () => peers?.().taken ?? [],
  );
}
