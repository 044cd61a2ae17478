import { isObject } from '@coold/runtime/unknown-values';
import { guardName, joinedElement, localSubnets } from '../deny/guard.ts';
import { intraChain } from '../deny/scaffold.ts';
import { listIptables, restoreIptables, runTool } from '../planes/iptables.ts';
import { listObjects } from '../planes/nft-plane.ts';
import { retryChange } from '../planes/retry-change.ts';
import { type Cidr, cidr } from '../rule/cidr.ts';
import { bridgeTable } from '../rule/nft-rule.ts';
import { hasHooks } from './hooks.ts';
import { joinGuard, joinIptables, joinNft, type LocalElement, type MarkedRule } from './join.ts';

/**
 * Makes exactly these subnets the joined ones, in both planes and the guard. A permissive host has none and stays
 * permissive (docs/contract.md §4). When nothing has to change, this costs a few short listings.
 *
 * @throws Error naming the program that failed, or when nothing leads to the default deny any more
 */
export async function applyJoined(joined: readonly Cidr[]): Promise<void> {
  const planes = await Promise.allSettled([
    retryChange(() => applyRouted(joined)),
    retryChange(() => applyBridged(joined)),
    retryChange(() => applyGuarded(joined)),
  ]);
  for (const plane of planes) if (plane.status === 'rejected') throw plane.reason;
}

async function applyRouted(joined: readonly Cidr[]): Promise<void> {
  const [forward, postrouting, input] = await Promise.all([
    listIptables('filter', 'FORWARD'),
    listIptables('nat', 'POSTROUTING'),
    listIptables('filter', 'INPUT'),
  ]);
  // To join a subnet here would look as if there were a default deny again.
  if (joined.length > 0 && !hasHooks(forward) && (await listIptables('filter')).includes(`-N ${intraChain}`))
    throw new Error(
      'FORWARD does not lead to the default deny any more: `systemctl restart coolify-mesh-fw` puts its hooks back',
    );
  const script = joinIptables(joined, { forward, postrouting, input });
  if (script !== '') await restoreIptables(script);
}

async function applyBridged(joined: readonly Cidr[]): Promise<void> {
  const chains = (await listObjects(runTool, 'chain', ['chains', 'bridge'])).flatMap(({ table, name }) =>
    table === bridgeTable ? [name] : [],
  );
  if (!chains.includes('forward') || !chains.includes('coolify_intra')) return;
  const marked = ['forward', 'coolify_sent'].filter(name => chains.includes(name));
  const rules = (await Promise.all(marked.map(listMarked))).flat();
  const script = joinNft(joined, rules, marked.length === 2 ? 'both' : 'forward');
  if (script !== '') await runTool('nft', ['-f', '-'], script);
}

async function listMarked(name: string): Promise<MarkedRule[]> {
  const rules = await listObjects(runTool, 'rule', ['chain', 'bridge', bridgeTable, name]);
  return rules.flatMap(({ chain, handle, comment }) =>
    typeof chain === 'string' && typeof handle === 'number' && typeof comment === 'string'
      ? [{ chain, handle, comment }]
      : [],
  );
}

async function applyGuarded(joined: readonly Cidr[]): Promise<void> {
  // Chains are listed, since listing the table's sets would print every allow rule.
  const chains = await listObjects(runTool, 'chain', ['chains', 'inet']);
  if (!chains.some(({ table }) => table === guardName)) return;
  const [set] = await listObjects(runTool, 'set', ['set', 'inet', guardName, localSubnets]);
  const script = joinGuard(joined, readElements(set?.['elem'] ?? []));
  if (script !== '') await runTool('nft', ['-f', '-'], script);
}

/**
 * Parses the elements of a set of networks as `nft -j` lists them.
 *
 * @throws Error on an element that coold does not make
 */
function readElements(elements: unknown): LocalElement[] {
  if (!Array.isArray(elements)) throw new Error('nft -j list set listed no elements');
  return elements.map((element: unknown) => {
    const inner = isObject(element) && isObject(element['elem']) ? element['elem'] : { val: element };
    const network = cidr.parse(networkText(inner['val']));
    if (network === undefined)
      throw new Error(`nft lists an element that is not a network: ${JSON.stringify(element)}`);
    return { network, isJoined: inner['comment'] === joinedElement };
  });
}

function networkText(value: unknown): string {
  if (typeof value === 'string') return `${value}/32`;
  const prefix = isObject(value) ? value['prefix'] : undefined;
  return isObject(prefix) ? `${String(prefix['addr'])}/${String(prefix['len'])}` : '';
}
