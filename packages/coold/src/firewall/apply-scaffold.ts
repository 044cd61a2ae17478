import { ChildError, runChild } from '@coold/runtime';
import { renderGuard } from './guard.ts';
import { listIptables, restoreIptables, runTool } from './iptables.ts';
import { lookAgain } from './look-again.ts';
import { readMeshLinks } from './mesh-links.ts';
import { conntrackProbe, type Present, renderIptables, renderNft, type Scaffold } from './scaffold.ts';

/** How the kernel stands now that the scaffold is in it. */
export interface Applied {
  /** Whether the routed plane had to be changed. */
  iptablesChanged: boolean;
  /** Whether bridged connections are tracked; without, replies are told from their packets. */
  bridgeConntrack: boolean;
}

const probeTimeoutMs = 15_000;

/**
 * Brings the guard and both planes to the scaffold. Idempotent; what allow rules there are stay (docs/contract.md §4). A plane that
 * fails does not keep the other from its default deny.
 *
 * @throws Error naming every program that failed and what it said
 */
export async function applyScaffold(scaffold: Scaffold): Promise<Applied> {
  const [guard, iptables, nft] = await Promise.allSettled([
    applyGuard(scaffold),
    applyIptables(scaffold),
    applyNft(scaffold),
  ]);
  if (guard.status === 'fulfilled' && iptables.status === 'fulfilled' && nft.status === 'fulfilled')
    return { iptablesChanged: iptables.value, bridgeConntrack: nft.value };
  const failures = [guard, iptables, nft].flatMap(plane =>
    plane.status === 'rejected' ? [plane.reason] : [],
  );
  throw new AggregateError(failures, failures.map(reason => messageOf(reason)).join('; '));
}

/**
 * Brings the routed plane to the scaffold; costs two listings when it is there already.
 *
 * @returns whether anything had to be changed
 */
export function applyIptables(scaffold: Scaffold): Promise<boolean> {
  return lookAgain(async () => {
    const script = renderIptables(scaffold, await readPresent());
    if (script === '') return false;
    await restoreIptables(script);
    return true;
  });
}

/** Puts the bridged plane in. @returns whether this kernel tracks bridged connections */
export async function applyNft(scaffold: Scaffold): Promise<boolean> {
  const conntrack = await hasBridgeConntrack();
  await runTool('nft', ['-f', '-'], renderNft(scaffold, conntrack));
  return conntrack;
}

/** Puts the guard in. */
export async function applyGuard(scaffold: Scaffold): Promise<void> {
  const links = await readMeshLinks([...scaffold.subnets, ...scaffold.joined]);
  await runTool('nft', ['-f', '-'], renderGuard(scaffold, links));
}

async function readPresent(): Promise<Present> {
  return { filter: await listIptables('filter'), postrouting: await listIptables('nat', 'POSTROUTING') };
}

/** Whether this kernel can track bridged connections. */
export async function hasBridgeConntrack(): Promise<boolean> {
  const { code } = await runChild('nft', ['-c', '-f', '-'], {
    timeoutMs: probeTimeoutMs,
    input: conntrackProbe,
  });
  return code === 0;
}

function messageOf(reason: unknown): string {
  if (reason instanceof ChildError && reason.reason === 'spawn') return `${reason.message}: is it installed?`;
  return reason instanceof Error ? reason.message : String(reason);
}
