import { iptablesArgs, iptablesLine, readIptablesLine } from '../rule/iptables-rule.ts';
import type { ListedFlow, Rule, Standing } from '../rule/rule.ts';
import type { Look } from './look.ts';
import { createMirror, type Mirror } from './mirror.ts';
import type { ListedRule } from './nft-listing.ts';
import { listPlace, type RunTool } from './nft-plane.ts';

/** The two implementations of iptables. */
export type Backend = 'nf_tables' | 'legacy';

/** How long iptables waits for another writer, in s: less than the timeout that kills a tool. */
const wait = '--wait=3';

/** Returns the backend of this host's iptables. @throws Error when there is no iptables */
export async function readBackend(run: RunTool): Promise<Backend> {
  const version = await run('iptables', ['--version']);
  if (!version.startsWith('iptables v')) throw new Error('iptables --version said nothing of a version');
  // Before 1.8 only the legacy backend existed, and it did not say so.
  return version.includes('(nf_tables)') ? 'nf_tables' : 'legacy';
}

/** Lists the allow chain in order. @throws Error */
async function listAllow(
  { run, share }: Look,
  chain: string,
  onLine: (line: string, standing: Standing) => void,
): Promise<{ exists: boolean }> {
  let exists = false;
  let isListing = false;
  await run('iptables', [wait, '-t', 'filter', '-S'], '', line => {
    if (line.startsWith('-P ')) isListing = true;
    if (line === `-N ${chain}`) exists = true;
    const listed = readIptablesLine(chain, line);
    if (listed !== undefined) onLine(line, share(listed.standing));
  });
  // Every listing begins with the policies. Output without them comes from a program that does not do its work.
  if (!isListing) throw new Error('iptables -S listed nothing');
  return { exists };
}

/**
 * Lists the routed plane of iptables-legacy, which has no handles: each rule is identified by the line that iptables
 * prints.
 *
 * @throws Error
 */
export async function listLegacy(look: Look, chain: string): Promise<Mirror> {
  const mirror = createMirror(false);
  const { exists } = await listAllow(look, chain, mirror.put);
  mirror.exists = exists;
  return mirror;
}

/** Lists the routed plane in nf_tables. @throws Error, also when it changed faster than it could be listed */
export async function listRouted(look: Look, chain: string): Promise<Mirror> {
  for (let left = 3; ; left -= 1) {
    const standings: Standing[] = [];
    // iptables knows the comments and nft the handles; both list in the chain's order.
    const [listed, handles] = await Promise.allSettled([
      listAllow(look, chain, (_, standing) => void standings.push(standing)),
      listPlace(look.run, 'chain', placeOf(chain)),
    ]);
    if (listed.status === 'rejected') throw listed.reason;
    const mirror = createMirror(listed.value.exists);
    if (standings.length === 0) return mirror;
    if (handles.status === 'rejected') throw handles.reason;
    const rules = handles.value?.chains.get(chain) ?? [];
    if (sameOrder(standings, rules)) {
      for (const [index, standing] of standings.entries()) mirror.put(rules[index]?.handle ?? -1, standing);
      return mirror;
    }
    if (left <= 1) throw new Error(`iptables and nft list chain ${chain} differently`);
  }
}

/** Returns where iptables-nft keeps the chain. */
export function placeOf(chain: string): string {
  return `ip filter ${chain}`;
}

function sameOrder(standings: readonly Standing[], rules: readonly ListedRule[]): boolean {
  return (
    standings.length === rules.length &&
    standings.every((standing, index) => {
      const flow = rules[index]?.flow;
      return standing.kind === 'foreign' || (flow !== undefined && flowKey(flow) === flowKey(standing.rule));
    })
  );
}

/** Identifies a flow without its namespace, because nft does not show the comment of an iptables rule. */
export function flowKey({ src, dst, proto, port }: Omit<ListedFlow, 'comment'>): string {
  return `${src} ${dst} ${proto} ${port}`;
}

export interface RoutedChange {
  chain: string;
  exists: boolean;
  add: readonly Rule[];
  /** Lines as iptables lists them. */
  remove: readonly string[];
  /** Replaces `add` and `remove`: the chain is emptied and filled with these rules in one commit. */
  anew?: readonly Rule[] | undefined;
  /** A chain that is created in the same commit, to prove that the commit happened. */
  proof?: string;
}

/**
 * Adds and removes rules in one commit. A single rule uses `iptables -A`, which does not have to read the table first.
 */
export async function changeRouted(run: RunTool, change: RoutedChange): Promise<void> {
  const { chain, exists, add, remove, anew, proof } = change;
  const [only] = add;
  const isOne = add.length === 1 && remove.length === 0 && anew === undefined;
  if (exists && isOne && only !== undefined && proof === undefined) {
    await run('iptables', [wait, '-t', 'filter', '-A', chain, ...iptablesArgs(only)]);
    return;
  }
  await run('iptables-restore', ['--noflush', wait], { parts: script(change) });
}

/**
 * Asks whether iptables would accept rules of each form, without changing anything.
 *
 * @throws Error with iptables' message
 */
export async function checkRouted(
  run: RunTool,
  chain: string,
  exists: boolean,
  add: readonly Rule[],
): Promise<void> {
  const parts = script({ chain, exists, add, remove: [] });
  await run('iptables-restore', ['--test', '--noflush', wait], { parts });
}

function* script({ chain, exists, add, remove, anew, proof }: RoutedChange): Generator<string> {
  yield '*filter\n';
  if (proof !== undefined) yield `-N ${proof}\n`;
  // Declaring a chain empties it, even with --noflush.
  if (anew !== undefined) yield `:${chain} - [0:0]\n`;
  else if (!exists) yield `-N ${chain}\n`;
  for (const line of anew === undefined ? remove : []) yield `${line.replace(/^-A/, '-D')}\n`;
  for (const rule of anew ?? add) yield `${iptablesLine('-A', chain, rule)}\n`;
  yield 'COMMIT\n';
}

/** Returns the counters of one of our rules; undefined when the rule is not in the chain. @throws Error */
export async function readCounters(
  run: RunTool,
  chain: string,
  id: string,
): Promise<{ packets: number; bytes: number } | undefined> {
  const listing = await run('iptables', [wait, '-t', 'filter', '-v', '-S', chain]);
  let sum: { packets: number; bytes: number } | undefined;
  for (const line of listing.split('\n')) {
    if (!line.includes(`cid:${id}`)) continue;
    const listed = readIptablesLine(chain, line);
    if (listed?.standing.kind !== 'rule' || listed.standing.rule.id !== id) continue;
    const { packets = 0, bytes = 0 } = listed.counters ?? {};
    sum = { packets: packets + (sum?.packets ?? 0), bytes: bytes + (sum?.bytes ?? 0) };
  }
  return sum;
}
