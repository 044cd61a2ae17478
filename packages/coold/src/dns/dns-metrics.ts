import { Counter, Gauge, type Registry } from 'prom-client';
import type { DnsStats } from './dns.ts';

/** Adds what DNS has to say of itself, by its stats at each reading. */
export function watchDns(registry: Registry, stats: () => DnsStats): void {
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
  counter(
    'coold_dns_cached_total',
    'DNS queries for the upstream that were answered from the cache',
    () => stats().cached,
  );
  counter(
    'coold_dns_stale_total',
    'DNS queries that were answered by what had run out in the cache, since no upstream answered',
    () => stats().stale,
  );
  new Gauge({
    name: 'coold_dns_upstream_answering',
    help: '1: this upstream answers; 0: it was found dead',
    labelNames: ['upstream'],
    registers,
    collect() {
      this.reset();
      for (const { address, answering } of stats().upstreams)
        this.set({ upstream: address }, answering ? 1 : 0);
    },
  });
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
