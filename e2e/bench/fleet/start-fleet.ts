import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Program, startScript } from '@coold/testbed';

export interface FleetOptions {
  /** URL of a broker, or of its stand-in. */
  url: string;
  /** Private key that signs the hosts' tokens. */
  keyPath: string;
  hosts: number;
}

/** Hosts `host-0` and up that answer at once, in processes of their own. */
export interface Fleet extends AsyncDisposable {
  hosts: number;
  /** The number of hosts that are accepted now. */
  accepted(): number;
  /** Resolves when all hosts are accepted. @throws Error with the number of accepted hosts after `timeoutMs` */
  allIn(timeoutMs: number): Promise<void>;
  /** Counts the reasons for which hosts were not accepted or lost their stream. */
  refusals(): Record<string, number>;
}

/** A process may open 20,000 files here, and a few thousand hosts that dial at once keep a core busy. */
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
