import { guardName } from './guard.ts';
import { runTool } from './iptables.ts';
import { listObjects } from './nft-plane.ts';
import { isObject } from './nft-rule.ts';

/** Whether the guard is in the kernel, and counts. @throws Error */
export async function hasGuardChain(chain: string): Promise<boolean> {
  const chains = await listObjects(runTool, 'chain', ['chains', 'inet']);
  return chains.some(({ table, name }) => table === guardName && name === chain);
}

/**
 * Packets that a set of the guard has counted, for one of its elements or for all.
 *
 * @throws Error
 */
export async function readCounter(set: string, element?: string): Promise<number> {
  const [listed] = await listObjects(runTool, 'set', ['set', 'inet', guardName, set]);
  const elements = listed?.['elem'];
  if (!Array.isArray(elements)) return 0;
  return elements.reduce((sum: number, listedElement: unknown) => {
    const inner = isObject(listedElement) ? listedElement['elem'] : undefined;
    if (!isObject(inner) || !isObject(inner['counter'])) return sum;
    if (element !== undefined && inner['val'] !== element) return sum;
    return sum + Number(inner['counter']['packets']);
  }, 0);
}
