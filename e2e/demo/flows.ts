// Counts attempted and passed flows in the kernel, with an nft table of its own beside coold's that drops nothing.
import { containerPool } from '../harness/mesh-plan.ts';
import { expectExec, type Host } from '../harness/provider.ts';

/** Packets that begin a connection to a container of this host, since the table was installed. */
export interface Flows {
  tried: number;
  passed: number;
}

const table = 'coold_demo';
const begins = `ip daddr ${containerPool} tcp flags & (syn | ack) == syn counter`;
/** Before everything that may drop packets, and after it. */
const rules = `table inet ${table} {
  chain tried { type filter hook forward priority -250; iifname "wg0" ${begins}; }
  chain passed { type filter hook forward priority 250; iifname "wg0" ${begins}; }
}
`;

/** Adds the counters to a host. @throws HarnessError */
export async function countFlows(host: Pick<Host, 'name' | 'exec'>): Promise<void> {
  await expectExec(host, ['nft', '-f', '-'], { input: rules });
}

/** @returns undefined when there is no such table @throws HarnessError when the host is off */
export async function readFlows(host: Pick<Host, 'name' | 'exec'>): Promise<Flows | undefined> {
  const { code, stdout } = await host.exec(['nft', 'list', 'table', 'inet', table], { timeoutMs: 5000 });
  return code === 0 ? parseFlows(stdout) : undefined;
}

/** Parses nft's listing of the table. Pure. */
export function parseFlows(text: string): Flows | undefined {
  const [tried, passed] = [...text.matchAll(/counter packets (\d+)/g)].map(([, count]) => Number(count));
  return tried === undefined || passed === undefined ? undefined : { tried, passed };
}
