import { Counter, type Registry } from 'prom-client';
import { scrapedMetrics } from '../scraped-metrics.ts';
import type { DnsStats } from './dns.ts';
import { durationLimits } from './forward/shared-forwarding.ts';
import { SharedHistogram } from './shared-histogram.ts';
import { sampled, zoneTimeLimits } from './zone-times.ts';

/** Registers the metrics of DNS. */
export function watchDns(registry: Registry, stats: () => DnsStats): void {
  const { gauge, gauges, counter } = scrapedMetrics(registry);
  new Counter({
    name: 'coold_dns_queries_total',
    help: 'DNS queries by the namespace whose gateway was asked and by the code of the answer',
    labelNames: ['namespace', 'rcode'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { namespace, rcode, queries } of stats().counts) this.inc({ namespace, rcode }, queries);
    },
  });
  counter('coold_dns_forwarded_total', 'DNS queries sent on to an upstream', () => stats().forwarded);
  counter(
    'coold_dns_forward_errors_total',
    'DNS queries for the upstream that failed: no answer in time, no route, or too many queries waiting',
    () => stats().forwardErrors,
  );
  counter(
    'coold_dns_cached_total',
    'DNS queries for the upstream that were answered from the cache',
    () => stats().cached,
  );
  counter(
    'coold_dns_stale_total',
    'DNS queries answered from the cache by an expired answer, since no upstream answered',
    () => stats().stale,
  );
  gauges('coold_dns_upstream_answering', '1: this upstream answers; 0: it was found dead', 'upstream', () =>
    stats().upstreams.map(({ address, answering }) => [address, answering ? 1 : 0]),
  );
  registry.registerMetric(
    new SharedHistogram(
      {
        name: 'coold_dns_upstream_duration_seconds',
        help: 'How long upstreams took to answer a query, or until the query was given up',
        limits: durationLimits,
      },
      () => stats().upstreamDurations,
    ),
  );
  registry.registerMetric(
    new SharedHistogram(
      {
        name: 'coold_dns_zone_duration_seconds',
        help: `How long coold took to answer from the zone, without the wait in the socket, for one question in ${sampled}`,
        limits: zoneTimeLimits,
      },
      () => stats().zoneTimes,
    ),
  );
  gauge('coold_dns_directory_rows', 'Containers of the mesh that DNS knows', () => stats().directory.rows);
  gauge(
    'coold_dns_directory_age_seconds',
    'For how long what DNS knows of containers may have been out of date',
    () => stats().directory.ageMs / 1000,
  );
  gauges(
    'coold_dns_listener_bound',
    '1: this process answers on every gateway of this namespace; 0: on one gateway at least it does not',
    'namespace',
    () => {
      // Networks of a namespace have gateways of their own: a bound one must not hide an unbound one.
      const all = new Map<string, number>();
      for (const { namespace, bound } of stats().listeners)
        all.set(namespace, bound ? (all.get(namespace) ?? 1) : 0);
      return all;
    },
  );
}
