import { Counter, Gauge, type Registry } from 'prom-client';
import type { FirewallVerbs } from './firewall.ts';

/** What Prometheus reads of the firewall; collected when it asks, from what is known then. */
export function addFirewallMetrics(
  registry: Registry,
  { store, hookRepairs }: Pick<FirewallVerbs, 'store' | 'hookRepairs'>,
): void {
  const registers = [registry];
  new Gauge({
    name: 'coold_firewall_rules',
    help: 'Allow rules: acknowledged (model), in each plane of the kernel, and in the snapshots',
    labelNames: ['place'],
    registers,
    collect() {
      for (const [place, count] of Object.entries(store.state().rules)) this.set({ place }, count);
    },
  });
  new Gauge({
    name: 'coold_firewall_drift',
    help: 'Rules in which kernel, snapshots and what was asked for differ, by kind',
    labelNames: ['kind'],
    registers,
    collect() {
      const { kernelOnly, modelOnly, planesDiffer, snapshotDiffers } = store.state().drift;
      this.set({ kind: 'in_kernel_only' }, kernelOnly.length);
      this.set({ kind: 'in_model_only' }, modelOnly.length);
      this.set({ kind: 'planes_differ' }, planesDiffer.length);
      this.set({ kind: 'snapshot_differs' }, snapshotDiffers.length);
    },
  });
  new Gauge({
    name: 'coold_firewall_permissive',
    help: '1 on a host without the scaffold of the default deny',
    registers,
    collect() {
      this.set(store.state().mode === 'permissive' ? 1 : 0);
    },
  });
  new Gauge({
    name: 'coold_firewall_unfinished',
    help: '1 while a failed change could not be taken back',
    registers,
    collect() {
      this.set(store.state().unfinished === undefined ? 0 : 1);
    },
  });
  new Gauge({
    name: 'coold_firewall_last_error_timestamp_seconds',
    help: 'When the firewall last failed; 0: never',
    registers,
    collect() {
      this.set((store.state().lastError?.at.getTime() ?? 0) / 1000);
    },
  });
  new Counter({
    name: 'coold_firewall_hook_repairs_total',
    help: 'How often the hooks of the default deny had to be put back on top of FORWARD',
    registers,
    collect() {
      this.reset();
      this.inc(hookRepairs());
    },
  });
}
