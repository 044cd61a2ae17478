import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Program, startScript } from '@coold/testbed';

export interface FleetOptions {
  /** Of a broker, or of what stands in its place. */
  url: string;
  /** Private key that their tokens are signed with. */
  keyPath: string;
  hosts: number;
}

/** Hosts that answer at once, `host-0` and on, in processes of their own. */
export interface Fleet extends AsyncDisposable {
  hosts: number;
  /** How many are in now. */
  accepted(): number;
  /** Resolves when they all are. @throws Error saying how many were, when it takes too long */
  allIn(timeoutMs: number): Promise<void>;
  /** What hosts were told that were not taken in, or whose stream was ended. */
  refusals(): Record<string, number>;
}

/** A process may have 20,000 files open here, and a core is busy with a few thousand hosts that dial at once. */
const hostsPerProcess = 2500;
const script = fileURLToPath(new URL('fleet.ts', import.meta.url));

export function startFleet({ url, keyPath, hosts }: FleetOptions): Fleet {
  const processes: Program[] = [];
  for (let first = 0; first < hosts; first += hostsPerProcess) {
    const end = Math.min(hosts, first + hostsPerProcess);
    processes.push(startScript(script, { args: [url, keyPath, String(first), String(end)] }));
  }
  const last = () => processes.map(({ lines }) => lines.findLast(({ msg }) => msg === 'fleet'));
  const accepted = () => last().reduce((sum, line) => sum + Number(line?.['accepted'] ?? 0), 0);
  const refusals = () => {
    const all: Record<string, number> = {};
    for (const line of last())
      for (const [why, times] of Object.entries((line?.['refusals'] ?? {}) as Record<string, number>))
        all[why] = (all[why] ?? 0) + times;
    return all;
  };
  return {
    hosts,
    accepted,
    refusals,
    async allIn(timeoutMs) {
      const end = performance.now() + timeoutMs;
      while (accepted() < hosts) {
        if (performance.now() > end)
          throw new Error(`${accepted()} of ${hosts} hosts are in: ${JSON.stringify(refusals())}`);
        await delay(50);
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(processes.map(process => process[Symbol.asyncDispose]()));
    },
  };
}
