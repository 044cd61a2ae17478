import type { Change } from './change.ts';
import { changeRouted, listAllow } from './iptables-plane.ts';
import { createMirror } from './mirror.ts';
import { bridgeAdditions, deletions, listBridge, type RunTool } from './nft-plane.ts';
import { bridgePlace } from './nft-rule.ts';
import { outstanding } from './outstanding.ts';

/**
 * Does some changes in the routed plane alone, and by iptables alone, however slow: for when nft cannot be run. @throws Error
 */
export async function changeRoutedAlone(
  run: RunTool,
  chain: string,
  changes: readonly Change[],
): Promise<void> {
  const { exists, lines } = await listAllow(run, chain);
  const standing = createMirror(exists);
  for (const listed of lines) standing.put(listed.line, listed.standing);
  const { iptablesAdd: add, iptables } = outstanding(changes, standing, undefined);
  const remove = iptables.filter(place => typeof place === 'string');
  if (add.length + remove.length > 0) await changeRouted(run, { chain, exists, add, remove });
}

/** The same in the bridged plane by nft: for when iptables cannot be run. @throws Error */
export async function changeBridgedAlone(run: RunTool, changes: readonly Change[]): Promise<void> {
  const standing = await listBridge(run);
  const { nftAdd, nft } = outstanding(changes, createMirror(false), standing);
  const handles = nft.filter(place => typeof place === 'number');
  const parts = [...deletions(bridgePlace, handles), ...bridgeAdditions(nftAdd, standing?.exists ?? true)];
  if (parts.length > 0) await run('nft', ['-f', '-'], { parts });
}
