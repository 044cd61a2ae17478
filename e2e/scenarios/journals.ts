import { onTestFailed } from 'vitest';
import type { FleetHost } from '../harness/fleet.ts';

/** Call at the start of a test: when it fails, the journals of these hosts' units are printed with it. */
export function journalsOnFailure(
  hosts: readonly FleetHost[],
  units = ['coold', 'broker', 'coolify-mesh-fw'],
): void {
  onTestFailed(async () => {
    for (const { host } of hosts)
      for (const unit of units) {
        const text = await host.journal(unit).catch((error: Error) => error.message);
        process.stderr.write(`\n--- ${host.name}: ${unit}\n${text.split('\n').slice(-60).join('\n')}\n`);
      }
  });
}
