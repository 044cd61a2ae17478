import { type Cidr, cidr } from './cidr.ts';
import { guardName, joinedElement, localSubnets } from './guard.ts';
import { hasHooks } from './hooks.ts';
import { listIptables, restoreIptables, runTool } from './iptables.ts';
import { joinGuard, joinIptables, joinNft, type LocalElement, type MarkedRule } from './join.ts';
import { lookAgain } from './look-again.ts';
import { listObjects } from './nft-plane.ts';
import { bridgeTable, isObject } from './nft-rule.ts';
import { intraChain } from './scaffold.ts';

/**
 * Makes exactly these the joined subnets of the scaffold, in both planes and the guard; a permissive host has none and stays one
 * (docs/contract.md §4). Costs a few short listings where it is so already.
 *
 * @throws Error naming the program that failed, or when nothing leads to the default deny any more
 */
export async function applyJoined(joined: readonly Cidr[]): Promise<void> {
  const planes = await Promise.allSettled([
    lookAgain(() => applyRouted(joined)),
    lookAgain(() => applyBridged(joined)),
    lookAgain(() => applyGuarded(joined)),
  ]);
  for (const plane of planes) if (plane.status === 'rejected') throw plane.reason;
}

async function applyRouted(joined: readonly Cidr[]): Promise<void> {
  const [forward, postrouting, input] = await Promise.all([
    listIptables('filter', 'FORWARD'),
    listIptables('nat', 'POSTROUTING'),
    listIptables('filter', 'INPUT'),
  ]);
  // Joining it would look as if there were a default deny again.
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
  // Chains, since a listing of the table's sets would be one of all allow rules.
  const chains = await listObjects(runTool, 'chain', ['chains', 'inet']);
  if (!chains.some(({ table }) => table === guardName)) return;
  const [set] = await listObjects(runTool, 'set', ['set', 'inet', guardName, localSubnets]);
  const script = joinGuard(joined, readElements(set?.['elem'] ?? []));
  if (script !== '') await runTool('nft', ['-f', '-'], script);
}

/** Reads the elements of a set of networks as `nft -j` lists them. @throws Error when one is none that we make */
function readElements(elements: unknown): LocalElement[] {
  if (!Array.isArray(elements)) throw new Error('nft -j list set listed no elements');
  return elements.map((element: unknown) => {
    const inner = isObject(element) && isObject(element['elem']) ? element['elem'] : { val: element };
    const network = cidr.parse(networkText(inner['val']));
    if (network === undefined)
      throw new Error(`nft lists an element that is no network: ${JSON.stringify(element)}`);
    return { network, isJoined: inner['comment'] === joinedElement };
  });
}

function networkText(value: unknown): string {
  if (typeof value === 'string') return `${value}/32`;
  const prefix = isObject(value) ? value['prefix'] : undefined;
  return isObject(prefix) ? `${String(prefix['addr'])}/${String(prefix['len'])}` : '';
}
