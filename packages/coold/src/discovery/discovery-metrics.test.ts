import { expect, it } from 'vitest';
import { createMetrics } from '../transport/metrics.ts';
import { watchDiscovery } from './discovery-metrics.ts';

it('says what discovery says of itself at that moment', async () => {
  const stats = {
    directory: {
      rows: 7,
      registrations: 2,
      ageMs: 0,
      connected: true,
      problem: undefined,
      resubscriptions: 3,
      rowsUnreachable: 4,
      hostsGone: ['100.64.0.9'],
    },
    sync: { rows: 5, written: 11, podmanFailures: 1, corrosionFailures: 0 },
    pools: { own: '10.211.0.0/20', overlapping: [{ hostMgmtIp: '100.64.0.2', pool: '10.211.0.0/16' }] },
    databasePutBack: true,
    silent: [{ hostMgmtIp: '100.64.0.2', lastHandshakeS: 200, rows: 3 }],
  };
  const metrics = createMetrics('1');
  metrics.extend(registry => watchDiscovery(registry, () => stats));
  const values = async () =>
    (await metrics.render()).text.split('\n').filter(line => line.startsWith('coold_discovery_'));
  expect(await values()).toEqual([
    'coold_discovery_connected 1',
    'coold_discovery_registrations 2',
    'coold_discovery_rows_unreachable 4',
    'coold_discovery_hosts_gone 1',
    'coold_discovery_hosts_silent 1',
    'coold_discovery_pools_overlapping 1',
    'coold_discovery_database_put_back 1',
    'coold_discovery_own_rows 5',
    'coold_discovery_resubscriptions_total 3',
    'coold_discovery_rows_written_total 11',
    'coold_discovery_podman_failures_total 1',
    'coold_discovery_corrosion_failures_total 0',
  ]);
  stats.directory.connected = false;
  stats.sync.written = 12;
  expect(await values()).toEqual(
    expect.arrayContaining(['coold_discovery_connected 0', 'coold_discovery_rows_written_total 12']),
  );
});
