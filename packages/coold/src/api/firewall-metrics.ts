import { Counter, Gauge, type Registry } from 'prom-client';
import type { FirewallVerbs } from './firewall.ts';

/** What Prometheus reads of the firewall; collected when it asks, from what is known then. */
export function addFirewallMetrics(
  registry: Registry,
  { store, hookRepairs, denyRepairs }: Pick<FirewallVerbs, 'store' | 'hookRepairs' | 'denyRepairs'>,
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
    name: 'coold_firewall_deny_broken',
    help: '1 while the default deny that mesh.env names is not in place: containers may reach each other',
    registers,
    collect() {
      this.set(store.state().mode === 'broken' ? 1 : 0);
    },
  });
  new Counter({
    name: 'coold_firewall_deny_repairs_total',
    help: 'How often the default deny itself, or a part of it, was gone and had to be put back',
    registers,
    collect() {
      this.reset();
      this.inc(denyRepairs());
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
