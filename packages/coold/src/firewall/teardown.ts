import { readIptablesLine } from './iptables-rule.ts';
import { allowedSets } from './judged-flows.ts';
import { bridgeChain, bridgePlace, bridgeTable } from './nft-rule.ts';
import { hooksIn, intraChain, isAcceptLine, type Present, tableText } from './scaffold.ts';

/**
 * Input for `iptables-restore --noflush` that takes out what coold and its scaffold put in, in one commit a table; empty
 * where there is nothing. The allow chain stays when somebody else has rules in it or leads to it.
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

/** What stands in the bridged plane's table. */
export interface BridgeTable {
  chains: readonly string[];
  sets: readonly string[];
  /** Handles of our rules in the allow chain, and how many there are that are not ours. */
  ours: readonly number[];
  foreign: number;
}

/** Those that the scaffold makes, in an order in which nothing that goes is still led to. */
const scaffoldChains = ['forward', 'coolify_sent', 'coolify_intra', 'coolify_answers'];
const scaffoldSets = ['coolify_replies', 'coolify_fragments', ...Object.values(allowedSets)];

/** Input for `nft -f`: the table goes, or, when somebody else has something in it, what is ours in it. */
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
