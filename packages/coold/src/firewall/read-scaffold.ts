import type { Cidr } from './cidr.ts';
import { guardName, guardTable, joinedElement, localSubnets } from './guard.ts';
import { listIptables, runTool } from './iptables.ts';
import type { PresentScaffold } from './missing-scaffold.ts';
import { listObjects } from './nft-plane.ts';
import { bridgeTable, isObject } from './nft-rule.ts';
import { intraChain } from './scaffold.ts';

/**
 * Reads what the kernel has of the scaffold: a few short listings, none of which names the allow rules.
 *
 * @param wanted the chains of nftables that are asked for, by family, table and name
 * @param chainName the allow chain in iptables, of which only is asked whether it is there
 * @throws Error when a program of the packet filter fails
 */
export async function readScaffold(wanted: readonly string[], chainName: string): Promise<PresentScaffold> {
  const [filter, postrouting, chains] = await Promise.all([
    readFilter(chainName),
    listIptables('nat', 'POSTROUTING'),
    listObjects(runTool, 'chain', ['chains']),
  ]);
  const exists = new Set(
    chains.map(({ family, table, name }) => `${String(family)} ${String(table)} ${String(name)}`),
  );
  const bridged = wanted.filter(chain => chain.startsWith(`bridge ${bridgeTable} `) && exists.has(chain));
  const hasGuard = wanted.some(chain => chain.startsWith(`${guardTable} `) && exists.has(chain));
  const [guard, subnets, ...counts] = await Promise.all([
    // Terse: the sets' elements are as many as the allow rules.
    hasGuard ? listObjects(runTool, 'rule', ['table', ...guardTable.split(' ')], ['-t']) : [],
    hasGuard ? readSubnets() : [],
    ...bridged.map(
      async chain => (await listObjects(runTool, 'rule', ['chain', ...chain.split(' ')])).length,
    ),
  ]);
  const rules = new Map<string, number>();
  for (const chain of wanted)
    if (chain.startsWith(`${guardTable} `) && exists.has(chain)) rules.set(chain, 0);
  for (const { chain } of guard) {
    const name = `${guardTable} ${String(chain)}`;
    rules.set(name, (rules.get(name) ?? 0) + 1);
  }
  for (const [index, chain] of bridged.entries()) rules.set(chain, counts[index] ?? 0);
  return {
    ...{ iptables: { filter, postrouting }, rules },
    localSubnets: subnets.map(({ network }) => network),
    configuredSubnets: subnets.flatMap(({ network, isJoined }) => (isJoined ? [] : [network])),
  };
}

/** Chain by chain, since the allow chain may have thousands of rules. */
async function readFilter(chainName: string): Promise<string[]> {
  const [forward, input] = await Promise.all([
    listIptables('filter', 'FORWARD'),
    listIptables('filter', 'INPUT'),
  ]);
  // These two are there, so a chain that cannot be listed now is one that is not.
  const [intra, allow] = await Promise.all([
    listIptables('filter', intraChain).catch(() => []),
    listIptables('filter', chainName, 1).then(
      () => [`-N ${chainName}`],
      () => [],
    ),
  ]);
  return [...forward, ...input, ...intra, ...allow];
}

async function readSubnets(): Promise<{ network: Cidr; isJoined: boolean }[]> {
  const [set] = await listObjects(runTool, 'set', ['set', 'inet', guardName, localSubnets]);
  const elements: unknown[] = Array.isArray(set?.['elem']) ? set['elem'] : [];
  return elements.map(element => {
    const inner = isObject(element) && isObject(element['elem']) ? element['elem'] : { val: element };
    const { val } = inner;
    const prefix = isObject(val) ? val['prefix'] : undefined;
    const network = isObject(prefix)
      ? `${String(prefix['addr'])}/${String(prefix['len'])}`
      : `${String(val)}/32`;
    return { network, isJoined: inner['comment'] === joinedElement };
  });
}
