import { apiClients, apiSockets, guardTable, meshLinks, ownSets } from '../deny/guard.ts';
import { intraChain, meshBridges, type Present } from '../deny/scaffold.ts';
import { createTableReader, type TableText } from '../deny/table-text.ts';
import { listIptables, runTool } from '../planes/iptables.ts';
import { bridgeChain, bridgePlace, bridgeTable } from '../rule/nft-rule.ts';
import type { ScaffoldTables } from './reference-tables.ts';

/**
 * Reads what iptables has of the scaffold: short listings, chain by chain, since the allow chain may have thousands of rules.
 *
 * @param chainName the allow chain, of which only is asked whether it is there
 * @throws Error when iptables fails
 */
export async function readRouted(chainName: string): Promise<Present> {
  const [forward, input, postrouting] = await Promise.all([
    listIptables('filter', 'FORWARD'),
    listIptables('filter', 'INPUT'),
    listIptables('nat', 'POSTROUTING'),
  ]);
  // These are there, so a chain that cannot be listed now is one that is not.
  const [intra, allow] = await Promise.all([
    listIptables('filter', intraChain).catch(() => []),
    listIptables('filter', chainName, 1).then(
      () => [`-N ${chainName}`],
      () => [],
    ),
  ]);
  return { filter: [...forward, ...input, ...intra, ...allow], postrouting };
}

/** Sets whose elements are known. */
const guardSets = [...ownSets, meshLinks, apiSockets, apiClients];
const bridgeSets = [meshBridges];
const allowChain = `chain ${bridgeChain}`;

/**
 * Reads what nftables has of the scaffold, without the allow rules.
 *
 * @param isWhole whether the bridged plane's table is listed whole, which takes long where there are thousands of allow rules:
 *   only so nft says whether it is dormant
 * @throws Error when nft fails
 */
export async function readTables(isWhole: boolean): Promise<ScaffoldTables> {
  const [guard, bridge] = await Promise.all([
    listTable('table', guardTable),
    isWhole ? listTable('table', `bridge ${bridgeTable}`) : readBridge(),
  ]);
  const [fullGuard, fullBridge] = await Promise.all([
    withElements(guardTable, guard, guardSets),
    withElements(`bridge ${bridgeTable}`, bridge, bridgeSets),
  ]);
  return { guard: fullGuard, bridge: fullBridge };
}

/** The listing of a table is terse: the sets of the allow rules are long. */
async function withElements(
  place: string,
  table: TableText | undefined,
  sets: readonly string[],
): Promise<TableText | undefined> {
  if (table === undefined) return undefined;
  const there = sets.filter(set => table.parts.has(`set ${set}`));
  const listed = await Promise.all(there.map(set => listTable('set', `${place} ${set}`, [])));
  return { head: table.head, parts: new Map([...table.parts, ...listed.flatMap(partsOf)]) };
}

const partsOf = (table: TableText | undefined) => [...(table?.parts ?? [])];

async function readBridge(): Promise<TableText | undefined> {
  const reader = createTableReader();
  for (const what of ['chains', 'sets'])
    await runTool('nft', ['-t', 'list', what, 'bridge'], '', reader.take);
  const table = reader.tables.get(`bridge ${bridgeTable}`);
  if (table === undefined) return undefined;
  const names = [...table.parts.keys()].filter(name => name.startsWith('chain ') && name !== allowChain);
  const chains = await Promise.all(
    names.map(name => listTable('chain', bridgePlace.replace(bridgeChain, name.replace('chain ', '')))),
  );
  // A chain that went meanwhile is not there.
  const others = [...table.parts].filter(([name]) => !names.includes(name));
  return { head: [], parts: new Map([...others, ...chains.flatMap(partsOf)]) };
}

/** Undefined: it is not there. @param flags `-t` leaves out the elements of sets that have a name */
async function listTable(
  kind: 'table' | 'chain' | 'set',
  place: string,
  flags: readonly string[] = ['-t'],
): Promise<TableText | undefined> {
  const words = place.split(' ');
  const reader = createTableReader([allowChain]);
  try {
    await runTool('nft', [...flags, 'list', kind, ...words], '', reader.take);
  } catch (error) {
    if (String(error).includes('No such file or directory')) return undefined;
    throw error;
  }
  return reader.tables.get(words.slice(0, 2).join(' '));
}
