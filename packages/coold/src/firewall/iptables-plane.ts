import { iptablesArgs, iptablesLine, readIptablesLine } from './iptables-rule.ts';
import type { Look } from './look.ts';
import { createMirror, type Mirror } from './mirror.ts';
import type { ListedRule } from './nft-listing.ts';
import { listPlace, type RunTool } from './nft-plane.ts';
import type { ListedFlow, Rule, Standing } from './rule.ts';

/** The two programs that go by the name of iptables. */
export type Backend = 'nf_tables' | 'legacy';

/** Another writer is waited for this long, in s: less than the time after which a tool is killed. */
const wait = '--wait=3';

/** Which iptables this host has. @throws Error when there is none */
export async function readBackend(run: RunTool): Promise<Backend> {
  const version = await run('iptables', ['--version']);
  if (!version.startsWith('iptables v')) throw new Error('iptables --version said nothing of a version');
  // Before 1.8 there was only the one, which did not say so.
  return version.includes('(nf_tables)') ? 'nf_tables' : 'legacy';
}

/** What stands in the allow chain, in order. @throws Error */
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
  // Every listing begins with the policies; one without is that of a program which does not do its work.
  if (!isListing) throw new Error('iptables -S listed nothing');
  return { exists };
}

/** The routed plane as it stands where there are no handles: each rule at the line that iptables lists it with. @throws Error */
export async function listLegacy(look: Look, chain: string): Promise<Mirror> {
  const mirror = createMirror(false);
  const { exists } = await listAllow(look, chain, mirror.put);
  mirror.exists = exists;
  return mirror;
}

/** The routed plane in nf_tables as it stands. @throws Error, also when it changed faster than it could be listed */
export async function listRouted(look: Look, chain: string): Promise<Mirror> {
  for (let left = 3; ; left -= 1) {
    const standings: Standing[] = [];
    // iptables knows the comments, nft the handles; both list in the order of the chain.
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

/** Where iptables-nft keeps the chain. */
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

/** A flow without its namespace, which nft does not show of a rule of iptables. */
export function flowKey({ src, dst, proto, port }: Omit<ListedFlow, 'comment'>): string {
  return `${src} ${dst} ${proto} ${port}`;
}

export interface RoutedChange {
  chain: string;
  exists: boolean;
  add: readonly Rule[];
  /** Lines as iptables lists them. */
  remove: readonly string[];
  /** Instead of all that: the chain is emptied and filled with these, in the same commit. */
  anew?: readonly Rule[] | undefined;
}

/** Adds and removes in one commit. One rule alone goes by `iptables -A`, which need not read the table first. */
export async function changeRouted(run: RunTool, change: RoutedChange): Promise<void> {
  const { chain, exists, add, remove, anew } = change;
  const [only] = add;
  if (exists && anew === undefined && only !== undefined && add.length === 1 && remove.length === 0) {
    await run('iptables', [wait, '-t', 'filter', '-A', chain, ...iptablesArgs(only)]);
    return;
  }
  await run('iptables-restore', ['--noflush', wait], {
    parts: script(change),
  });
}

/** Whether iptables would take rules of each form, without any of it happening. @throws Error with what it said */
export async function checkRouted(
  run: RunTool,
  chain: string,
  exists: boolean,
  add: readonly Rule[],
): Promise<void> {
  const parts = script({ chain, exists, add, remove: [] });
  await run('iptables-restore', ['--test', '--noflush', wait], { parts });
}

function* script({ chain, exists, add, remove, anew }: RoutedChange): Generator<string> {
  yield '*filter\n';
  // Declaring a chain empties it, also with --noflush.
  if (anew !== undefined) yield `:${chain} - [0:0]\n`;
  else if (!exists) yield `-N ${chain}\n`;
  for (const line of anew === undefined ? remove : []) yield `${line.replace(/^-A/, '-D')}\n`;
  for (const rule of anew ?? add) yield `${iptablesLine('-A', chain, rule)}\n`;
  yield 'COMMIT\n';
}

/** What a rule of ours has counted; undefined when it does not stand there. @throws Error */
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
