import type { Registry } from 'prom-client';
import { scrapedMetrics } from '../scraped-metrics.ts';
import type { DiscoveryStats } from './discovery.ts';

/** Registers the metrics of discovery. */
export function watchDiscovery(registry: Registry, stats: () => DiscoveryStats): void {
  const metrics = scrapedMetrics(registry);
  const gauge = (name: string, help: string, read: (now: DiscoveryStats) => number) =>
    metrics.gauge(name, help, () => read(stats()));
  const counter = (name: string, help: string, read: (now: DiscoveryStats) => number) =>
    metrics.counter(name, help, () => read(stats()));
  gauge(
    'coold_discovery_connected',
    '1: Corrosion reports changes in the mesh as they happen; 0: it does not',
    ({ directory }) => (directory.connected ? 1 : 0),
  );
  gauge(
    'coold_discovery_registrations',
    'Registrations of services',
    ({ directory }) => directory.registrations,
  );
  gauge(
    'coold_discovery_rows_unreachable',
    'Containers whose address this host cannot reach through the mesh, so that DNS does not answer them',
    ({ directory }) => directory.rowsUnreachable,
  );
  gauge(
    'coold_discovery_hosts_gone',
    'Hosts of the mesh that were not seen for COOLD_HOST_TTL, so that DNS does not answer their containers',
    ({ directory }) => directory.hostsGone.length,
  );
  gauge(
    'coold_discovery_hosts_silent',
    'Hosts of the mesh that WireGuard sends to and hears nothing from, and that are not gone yet',
    ({ silent }) => silent.length,
  );
  gauge(
    'coold_discovery_pools_overlapping',
    'Hosts of the mesh whose COOLD_NETWORK_POOL overlaps with the one of this host; no network is made there',
    ({ pools }) => pools.overlapping.length,
  );
  gauge(
    'coold_discovery_database_put_back',
    "1: this host's Corrosion database was restored to an older state, so other hosts ignore its changes",
    ({ databasePutBack }) => (databasePutBack ? 1 : 0),
  );
  gauge('coold_discovery_own_rows', "This host's containers on managed networks", ({ sync }) => sync.rows);
  counter(
    'coold_discovery_resubscriptions_total',
    'Subscriptions to Corrosion that broke and were resumed or restarted',
    ({ directory }) => directory.resubscriptions,
  );
  counter(
    'coold_discovery_rows_written_total',
    'Rows written to Corrosion or removed',
    ({ sync }) => sync.written,
  );
  counter(
    'coold_discovery_podman_failures_total',
    'Requests about containers that Podman did not answer',
    ({ sync }) => sync.podmanFailures,
  );
  counter(
    'coold_discovery_corrosion_failures_total',
    'Writes that Corrosion did not acknowledge',
    ({ sync }) => sync.corrosionFailures,
  );
}
