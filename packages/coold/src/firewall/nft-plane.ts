import type { ToolInput } from './iptables.ts';
import { createMirror, type Mirror } from './mirror.ts';
import {
  bridgeChain,
  bridgePlace,
  bridgeTable,
  isObject,
  type NftRule,
  nftLine,
  readNftRule,
  standingOf,
} from './nft-rule.ts';
import type { Rule } from './rule.ts';

/** Runs one of the packet filter's tools to its output. @throws Error */
export type RunTool = (program: string, args: readonly string[], input?: ToolInput) => Promise<string>;

/** The bridged plane as it stands; undefined on a permissive host, which has no such table (docs/contract.md §4). */
export async function listBridge(run: RunTool): Promise<Mirror | undefined> {
  const chains = await listObjects(run, 'chain', ['chains', 'bridge']);
  const exists = chains.some(({ table, name }) => table === bridgeTable && name === bridgeChain);
  // Listing tables has nft read every rule there is: only where the chain does not tell.
  if (!exists) {
    const tables = await listObjects(run, 'table', ['tables', 'bridge']);
    return tables.some(({ name }) => name === bridgeTable) ? createMirror(false) : undefined;
  }
  const mirror = createMirror(true);
  for (const rule of await listRules(run, bridgePlace)) mirror.put(rule.handle, standingOf(rule));
  return mirror;
}

/** The rules of a chain in order. @param place family, table and chain */
export async function listRules(run: RunTool, place: string): Promise<NftRule[]> {
  const rules = await listObjects(run, 'rule', ['chain', ...place.split(' ')]);
  return rules.map(value => {
    const rule = readNftRule(value);
    if (rule === undefined) throw new Error(`nft lists a rule that cannot be read: ${JSON.stringify(value)}`);
    return rule;
  });
}

/** The objects of one kind that `nft -j list` prints. @throws Error when it prints none of its JSON */
export async function listObjects(
  run: RunTool,
  kind: 'table' | 'chain' | 'set' | 'rule',
  what: readonly string[],
  flags: readonly string[] = [],
): Promise<Record<string, unknown>[]> {
  const text = await run('nft', [...flags, '-j', 'list', ...what]);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(`nft -j list ${what.join(' ')} said what is not JSON`);
  }
  const objects = isObject(value) ? value['nftables'] : undefined;
  if (!Array.isArray(objects)) throw new Error(`nft -j list ${what.join(' ')} listed nothing`);
  return objects.flatMap((object: unknown) => {
    const found = isObject(object) ? object[kind] : undefined;
    return isObject(found) ? [found] : [];
  });
}

/** Lines for `nft -f`: the chain where it is missing, and rules by their text. */
export function* bridgeAdditions(rules: readonly Rule[], exists: boolean): Generator<string> {
  if (rules.length > 0 && !exists) yield `add chain ${bridgePlace}\n`;
  for (const rule of rules) yield `${nftLine(rule)}\n`;
}

/** The line for `nft -f` that empties a chain; within a transaction nobody meets it empty. */
export function flushed(place: string): string {
  return `flush chain ${place}\n`;
}

/** Lines for `nft -f` that delete by handle: the one way that does not search thousands of rules. */
export function* deletions(place: string, handles: readonly number[]): Generator<string> {
  for (const handle of handles) yield `delete rule ${place} handle ${handle}\n`;
}
