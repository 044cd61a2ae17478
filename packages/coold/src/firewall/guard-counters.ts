import { guardName } from './guard.ts';
import { runTool } from './iptables.ts';
import { listObjects } from './nft-plane.ts';
import { isObject } from './nft-rule.ts';

/** Whether the guard is in the kernel, and counts. @throws Error */
export async function hasGuardChain(chain: string): Promise<boolean> {
  const chains = await listObjects(runTool, 'chain', ['chains', 'inet']);
  return chains.some(({ table, name }) => table === guardName && name === chain);
}

/** Packets of a counter of the guard. @throws Error */
export async function readCounter(name: string): Promise<number> {
  const [counter] = await listObjects(runTool, 'counter', ['counter', 'inet', guardName, name]);
  return Number(counter?.['packets'] ?? 0);
}

/** Packets that a set of the guard has counted for one address. @throws Error */
export async function readSetCounter(set: string, address: string): Promise<number> {
  const [listed] = await listObjects(runTool, 'set', ['set', 'inet', guardName, set]);
  const elements = listed?.['elem'];
  if (!Array.isArray(elements)) return 0;
  for (const element of elements) {
    const inner: unknown = isObject(element) ? element['elem'] : undefined;
    if (!isObject(inner) || inner['val'] !== address || !isObject(inner['counter'])) continue;
    return Number(inner['counter']['packets']);
  }
  return 0;
}
