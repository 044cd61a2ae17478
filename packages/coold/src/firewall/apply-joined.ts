import type { Cidr } from './cidr.ts';
import { hasHooks } from './hooks.ts';
import { listIptables, restoreIptables, runTool } from './iptables.ts';
import { joinIptables, joinNft, type MarkedRule } from './join.ts';
import { lookAgain } from './look-again.ts';
import { listObjects } from './nft-plane.ts';
import { bridgeTable } from './nft-rule.ts';
import { intraChain } from './scaffold.ts';

/**
 * Makes exactly these the joined subnets of the scaffold, in both planes; a permissive host has none and stays one
 * (docs/contract.md §4). Costs a few short listings where it is so already.
 *
 * @throws Error naming the program that failed, or when nothing leads to the default deny any more
 */
export async function applyJoined(joined: readonly Cidr[]): Promise<void> {
  const planes = await Promise.allSettled([
    lookAgain(() => applyRouted(joined)),
    lookAgain(() => applyBridged(joined)),
  ]);
  for (const plane of planes) if (plane.status === 'rejected') throw plane.reason;
}

async function applyRouted(joined: readonly Cidr[]): Promise<void> {
  const [forward, postrouting] = await Promise.all([
    listIptables('filter', 'FORWARD'),
    listIptables('nat', 'POSTROUTING'),
  ]);
  // Joining it would look as if there were a default deny again.
  if (joined.length > 0 && !hasHooks(forward) && (await listIptables('filter')).includes(`-N ${intraChain}`))
    throw new Error(
      'FORWARD does not lead to the default deny any more: `systemctl restart coolify-mesh-fw` puts its hooks back',
    );
  const script = joinIptables(joined, { forward, postrouting });
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
