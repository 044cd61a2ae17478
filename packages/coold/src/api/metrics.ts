import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { DnsStats } from '../dns/dns.ts';
import type { Call } from './calls.ts';

/** What Prometheus reads of this process. */
export interface Metrics {
  count(call: Call): void;
  /** From now on DNS is measured too, by what its stats say at each reading. */
  watchDns(stats: () => DnsStats): void;
  render(): Promise<{ contentType: string; text: string }>;
}

/** In a registry of its own, so that each has only what it counted. */
export function createMetrics(version: string): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  new Gauge({
    name: 'coold_build_info',
    help: 'What runs here; always 1',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version, node: process.version }, 1);
  const requests = new Counter({
    name: 'coold_verb_requests_total',
    help: 'Calls of verbs, by the status they were answered with; 499: the caller left before its answer',
    labelNames: ['verb', 'transport', 'code'],
    registers,
  });
  const duration = new Histogram({
    name: 'coold_verb_duration_seconds',
    help: 'How long verbs took, until the answer was handed over',
    labelNames: ['verb', 'transport'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600],
    registers,
  });
  return {
    count({ verb, transport, status, durationMs }) {
      requests.inc({ verb, transport, code: status });
      duration.observe({ verb, transport }, durationMs / 1000);
    },
    watchDns: stats => watchDns(registry, stats),
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}

function watchDns(registry: Registry, stats: () => DnsStats): void {
  const registers = [registry];
  const counter = (name: string, help: string, read: () => number) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  new Counter({
    name: 'coold_dns_queries_total',
    help: 'DNS queries, by the namespace whose gateway was asked and how they were answered',
    labelNames: ['namespace', 'rcode'],
    registers,
    collect() {
      this.reset();
      for (const { namespace, rcode, queries } of stats().counts) this.inc({ namespace, rcode }, queries);
    },
  });
  counter('coold_dns_forwarded_total', 'DNS queries handed on to the upstream', () => stats().forwarded);
  counter(
    'coold_dns_forward_errors_total',
    'DNS queries for the upstream that found no answer in time, no way there, or too many waiting',
    () => stats().forwardErrors,
  );
  gauge('coold_dns_directory_rows', 'Containers of the mesh that DNS knows of', () => stats().directory.rows);
  gauge(
    'coold_dns_directory_age_seconds',
    'For how long those may have been out of date',
    () => stats().directory.ageMs / 1000,
  );
  new Gauge({
    name: 'coold_dns_listener_bound',
    help: "1: clients on this namespace's gateway are answered by this process; 0: they are not",
    labelNames: ['namespace'],
    registers,
    collect() {
      this.reset();
      for (const { namespace, bound } of stats().listeners) this.set({ namespace }, bound ? 1 : 0);
    },
  });
}
