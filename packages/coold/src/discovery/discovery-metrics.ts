import { Counter, Gauge, type Registry } from 'prom-client';
import type { DiscoveryStats } from './discovery.ts';

/** What discovery says of itself, read whenever the metrics are. */
export function watchDiscovery(registry: Registry, stats: () => DiscoveryStats): void {
  const registers = [registry];
  const gauge = (name: string, help: string, read: (now: DiscoveryStats) => number) =>
    new Gauge({
      ...{ name, help, registers },
      collect() {
        this.set(read(stats()));
      },
    });
  const counter = (name: string, help: string, read: (now: DiscoveryStats) => number) =>
    new Counter({
      ...{ name, help, registers },
      collect() {
        this.reset();
        this.inc(read(stats()));
      },
    });
  gauge(
    'coold_discovery_connected',
    '1: changes in the mesh are told as they happen; 0: Corrosion does not tell them',
    ({ directory }) => (directory.connected ? 1 : 0),
  );
  gauge(
    'coold_discovery_registrations',
    'Registrations of services',
    ({ directory }) => directory.registrations,
  );
  gauge(
    'coold_discovery_rows_unreachable',
    'Containers whose address this host cannot reach by the mesh; they are not answered',
    ({ directory }) => directory.rowsUnreachable,
  );
  gauge(
    'coold_discovery_hosts_gone',
    'Hosts of the mesh that were not seen for COOLD_HOST_TTL; their containers are not answered',
    ({ directory }) => directory.hostsGone.length,
  );
  gauge('coold_discovery_own_rows', "This host's containers on managed networks", ({ sync }) => sync.rows);
  counter(
    'coold_discovery_resubscriptions_total',
    'Subscriptions to Corrosion that broke and were taken up again',
    ({ directory }) => directory.resubscriptions,
  );
  counter(
    'coold_discovery_rows_written_total',
    'Rows written to Corrosion or removed',
    ({ sync }) => sync.written,
  );
  counter(
    'coold_discovery_podman_failures_total',
    'Looks at containers that Podman did not answer',
    ({ sync }) => sync.podmanFailures,
  );
  counter(
    'coold_discovery_corrosion_failures_total',
    'Writes that Corrosion did not acknowledge',
    ({ sync }) => sync.corrosionFailures,
  );
}
