import { allowedSets } from '../deny/judged-flows.ts';
import { hooksIn, intraChain, isAcceptLine, meshBridges, type Present, tableText } from '../deny/scaffold.ts';
import { readIptablesLine } from '../rule/iptables-rule.ts';
import { bridgeChain, bridgePlace, bridgeTable } from '../rule/nft-rule.ts';

/**
 * Returns input for `iptables-restore --noflush` that removes what coold and its scaffold installed, in one commit per
 * table; empty when there is nothing. The allow chain stays when another program has rules in it or jumps to it.
 */
export function teardownIptables(chain: string, { filter, postrouting }: Present): string {
  const networks = new Set<string>(hooksIn(filter).map(({ network }) => network));
  const returns = postrouting.filter(line =>
    networks.has(/^-A POSTROUTING -s (\S+) -o \S+ -j RETURN$/.exec(line)?.[1] ?? ''),
  );
  const allowed = filter.flatMap(line => {
    const listed = readIptablesLine(chain, line);
    return listed === undefined ? [] : [{ line, ours: listed.standing.kind === 'rule' }];
  });
  const used = filter.some(
    line => !line.startsWith(`-A ${intraChain} `) && new RegExp(` -[jg] ${chain}( |$)`).test(line),
  );
  const keep = used || allowed.some(({ ours }) => !ours);
  const lines = [
    ...filter.filter(line => line.endsWith(` -j ${intraChain}`) || isAcceptLine(line)).map(deleted),
    ...(filter.includes(`-N ${intraChain}`) ? [`-F ${intraChain}`, `-X ${intraChain}`] : []),
    ...(keep ? allowed.filter(({ ours }) => ours).map(({ line }) => deleted(line)) : []),
    ...(!keep && filter.includes(`-N ${chain}`) ? [`-F ${chain}`, `-X ${chain}`] : []),
  ];
  return [...tableText('filter', lines), ...tableText('nat', returns.map(deleted))]
    .map(line => `${line}\n`)
    .join('');
}

const deleted = (line: string) => line.replace(/^-A/, '-D');

/** The content of the bridged plane's table. */
export interface BridgeTable {
  chains: readonly string[];
  sets: readonly string[];
  /** The handles of our rules in the allow chain, and the number of rules that are not ours. */
  ours: readonly number[];
  foreign: number;
}

/** The chains that the scaffold makes, ordered so that no chain is deleted while another still jumps to it. */
const scaffoldChains = ['forward', 'coolify_denied', 'coolify_sent', 'coolify_intra', 'coolify_answers'];
const scaffoldSets = ['coolify_replies', 'coolify_fragments', meshBridges, ...Object.values(allowedSets)];

/** Returns input for `nft -f` that deletes the table, or only our part when another program has something in it. */
export function teardownNft({ chains, sets, ours, foreign }: BridgeTable): string {
  const known = new Set([...scaffoldChains, ...scaffoldSets, bridgeChain]);
  const table = `bridge ${bridgeTable}`;
  if (foreign === 0 && [...chains, ...sets].every(name => known.has(name))) return `delete table ${table}\n`;
  const there = scaffoldChains.filter(name => chains.includes(name));
  return [
    ...there.map(name => `flush chain ${table} ${name}`),
    ...there.map(name => `delete chain ${table} ${name}`),
    ...scaffoldSets.filter(name => sets.includes(name)).map(name => `delete set ${table} ${name}`),
    ...ours.map(handle => `delete rule ${bridgePlace} handle ${handle}`),
  ]
    .map(line => `${line}\n`)
    .join('');
}
