import type { Host } from '../harness/provider.ts';
import { expectExec } from '../harness/provider.ts';

const units = ['broker', 'coold', 'corrosion', 'coolify-mesh-fw', 'coolify-mesh-allow'];

/** Returns journal lines of our units at warning level or above. @throws HarnessError */
export async function warningsOf(host: Pick<Host, 'name' | 'exec'>): Promise<string[]> {
  const journal = ['journalctl', '--no-pager', '--quiet', '--priority=warning', '--output=cat'] as const;
  const said = await expectExec(host, [...journal, ...units.map(unit => `--unit=${unit}`)]);
  return said.split('\n').filter(line => line !== '');
}
