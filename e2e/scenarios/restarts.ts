import { setTimeout as delay } from 'node:timers/promises';
import type { FleetHost } from '../harness/fleet.ts';
import { expectExec } from '../harness/provider.ts';

/** A part that can be restarted. */
export type RestartKind = 'coold' | 'podman' | 'corrosion' | 'wg0' | 'reboot';

export const restartKinds: readonly RestartKind[] = ['coold', 'podman', 'corrosion', 'wg0', 'reboot'];

export interface Restart {
  kind: RestartKind;
  member: FleetHost;
  /** Restarts it, and resolves once it is back. */
  run(): Promise<void>;
}

/** How long a stopped part stays down: long enough for others to notice. */
const downMs = 3000;

/** @param afterReboot restores what a reboot removes */
export function restartOf(kind: RestartKind, member: FleetHost, afterReboot: () => Promise<void>): Restart {
  const { host } = member;
  const systemctl = (...args: string[]) => expectExec(host, ['systemctl', ...args], { timeoutMs: 90_000 });
  const run = async () => {
    switch (kind) {
      case 'coold':
        await systemctl('kill', '--signal=KILL', 'coold.service');
        await delay(downMs);
        await systemctl('start', 'coold.service');
        return;
      case 'podman':
        await systemctl('restart', 'podman.socket', 'podman.service');
        return;
      case 'corrosion':
        await systemctl('stop', 'corrosion.service');
        await delay(downMs);
        await systemctl('start', 'corrosion.service');
        return;
      case 'wg0':
        await systemctl('stop', 'wg-quick@wg0.service');
        await delay(downMs);
        await systemctl('start', 'wg-quick@wg0.service');
        return;
      case 'reboot':
        await host.reboot();
        await afterReboot();
    }
  };
  return { kind, member, run };
}
