import { isObject } from '@coold/runtime/unknown-values';
import { bridgeChain, bridgePlace, bridgeTable, nftLine, standingOf } from '../rule/nft-rule.ts';
import type { Rule } from '../rule/rule.ts';
import type { ToolInput } from './iptables.ts';
import type { Look } from './look.ts';
import { createMirror, type Mirror } from './mirror.ts';
import { createListingReader, type Listing } from './nft-listing.ts';

/**
 * Runs one of the packet filter's tools and returns its output. The output is not kept when its lines are handled as
 * they arrive.
 *
 * @throws Error
 */
export type RunTool = (
  program: string,
  args: readonly string[],
  input?: ToolInput,
  onLine?: (line: string) => void,
) => Promise<string>;

/** Lists the bridged plane; undefined on a permissive host, which has no such table (docs/contract.md §4). */
export async function listBridge({ table, share }: Look): Promise<Mirror | undefined> {
  const listing = await table(`bridge ${bridgeTable}`);
  if (listing === undefined) return undefined;
  const rules = listing.chains.get(bridgeChain);
  const mirror = createMirror(rules !== undefined);
  for (const rule of rules ?? []) mirror.put(rule.handle, share(standingOf(rule)));
  return mirror;
}

/**
 * Lists a table, or one chain of it; undefined when it does not exist.
 *
 * @param place family and table, and the chain
 * @throws Error
 */
export async function listPlace(
  run: RunTool,
  kind: 'table' | 'chain',
  place: string,
): Promise<Listing | undefined> {
  const words = place.split(' ');
  const reader = createListingReader(words.slice(0, 2).join(' '));
  try {
    await run('nft', ['-a', 'list', kind, ...words], '', line => reader.take(line));
  } catch (error) {
    if (String(error).includes('No such file or directory')) return undefined;
    throw error;
  }
  const listing = reader.end();
  if (listing === undefined) throw new Error(`nft -a list ${kind} ${place} listed nothing`);
  return listing;
}

/** Returns the objects of one kind that `nft -j list` prints. @throws Error when the output is not nft's JSON */
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

/** Yields lines for `nft -f` that create the chain where it is missing, and add rules by their text. */
export function* bridgeAdditions(rules: readonly Rule[], exists: boolean): Generator<string> {
  if (rules.length > 0 && !exists) yield `add chain ${bridgePlace}\n`;
  for (const rule of rules) yield `${nftLine(rule)}\n`;
}

/** Returns the line for `nft -f` that empties a chain. Inside a transaction no packet meets the empty chain. */
export function flushed(place: string): string {
  return `flush chain ${place}\n`;
}

/**
 * Yields lines for `nft -f` that delete rules by handle, which is the only way that does not search thousands of rules.
 */
export function* deletions(place: string, handles: readonly number[]): Generator<string> {
  for (const handle of handles) yield `delete rule ${place} handle ${handle}\n`;
}
