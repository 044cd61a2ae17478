import type { Registry } from 'prom-client';
import { scrapedMetrics } from '../scraped-metrics.ts';
import type { FirewallVerbs } from '../verbs/firewall.ts';

/** Registers the metrics of the firewall. */
export function addFirewallMetrics(
  registry: Registry,
  { store, hookRepairs, denyRepairs }: Pick<FirewallVerbs, 'store' | 'hookRepairs' | 'denyRepairs'>,
): void {
  const { gauge, gauges, counter } = scrapedMetrics(registry);
  gauges(
    'coold_firewall_rules',
    'Allow rules: acknowledged (model), in each plane of the kernel, and in the snapshots',
    'place',
    () => Object.entries(store.state().rules),
  );
  gauges(
    'coold_firewall_drift',
    'Rules that differ between the kernel, the snapshots and the acknowledged rules, by kind',
    'kind',
    () => {
      const { drift, foreign } = store.state();
      const { kernelOnly, modelOnly, planesDiffer, snapshotDiffers } = drift;
      return Object.entries({
        in_kernel_only: kernelOnly.length,
        in_model_only: modelOnly.length,
        planes_differ: planesDiffer.length,
        snapshot_differs: snapshotDiffers.length,
        foreign_in_guard: foreign.filter(({ plane }) => plane === 'guard').length,
      });
    },
  );
  gauge('coold_firewall_permissive', '1 on a host without the scaffold of the default deny', () =>
    store.state().mode === 'permissive' ? 1 : 0,
  );
  gauge(
    'coold_firewall_deny_broken',
    '1 while the default deny that mesh.env names is not in place: containers may reach each other',
    () => (store.state().mode === 'broken' ? 1 : 0),
  );
  counter(
    'coold_firewall_deny_repairs_total',
    'How often the default deny or a part of it was missing and was restored',
    denyRepairs,
  );
  gauge('coold_firewall_unfinished', '1 while a failed change is not undone', () =>
    store.state().unfinished === undefined ? 0 : 1,
  );
  gauge(
    'coold_firewall_last_error_timestamp_seconds',
    'When the firewall last failed; 0: never',
    () => (store.state().lastError?.at.getTime() ?? 0) / 1000,
  );
  counter(
    'coold_firewall_hook_repairs_total',
    'How often the hooks of the default deny were moved back to the top of FORWARD',
    hookRepairs,
  );
}
