import { runChild } from '@coold/runtime';
import { renderGuard } from '../deny/guard.ts';
import {
  bridgeNameProbe,
  conntrackProbe,
  type Present,
  renderIptables,
  renderNft,
  type Scaffold,
} from '../deny/scaffold.ts';
import { listIptables, restoreIptables, runTool } from '../planes/iptables.ts';
import { toolMessage } from '../planes/kernel-tool.ts';
import { retryChange } from '../planes/retry-change.ts';
import { readMeshBridges, readMeshLinks } from './mesh-links.ts';
import type { RemovedFirst } from './tables-anew.ts';

/** The kernel's state once the scaffold is installed. */
export interface Applied {
  /** Whether the routed plane had to be changed. */
  iptablesChanged: boolean;
  /** Whether bridged connections are tracked. Where they are not, replies are recognised from their packets. */
  bridgeConntrack: boolean;
}

const probeTimeoutMs = 15_000;

/**
 * Installs the scaffold in the guard and both planes. Idempotent; allow rules stay (docs/contract.md §4). A failure in
 * one plane does not keep the other from its default deny.
 *
 * @param first input that precedes it in the same transaction
 * @throws Error naming every program that failed and its message
 */
export async function applyScaffold(
  scaffold: Scaffold,
  first: RemovedFirst = { guard: '', bridge: '' },
): Promise<Applied> {
  const [guard, iptables, nft] = await Promise.allSettled([
    applyGuard(scaffold, first.guard),
    applyIptables(scaffold),
    applyNft(scaffold, first.bridge),
  ]);
  if (guard.status === 'fulfilled' && iptables.status === 'fulfilled' && nft.status === 'fulfilled')
    return { iptablesChanged: iptables.value, bridgeConntrack: nft.value };
  const failures = [guard, iptables, nft].flatMap(plane =>
    plane.status === 'rejected' ? [plane.reason] : [],
  );
  throw new AggregateError(failures, failures.map(toolMessage).join('; '));
}

/**
 * Installs the routed plane's part. Costs two listings when it is there already.
 *
 * @returns whether anything had to be changed
 */
function applyIptables(scaffold: Scaffold): Promise<boolean> {
  return retryChange(async () => {
    const script = renderIptables(scaffold, await readPresent());
    if (script === '') return false;
    await restoreIptables(script);
    return true;
  });
}

/** Installs the bridged plane. @returns whether this kernel tracks bridged connections */
async function applyNft(scaffold: Scaffold, first = ''): Promise<boolean> {
  const conntrack = await hasBridgeConntrack();
  const subnets = [...scaffold.subnets, ...scaffold.joined];
  const bridges = (await hasBridgeNames()) ? await readMeshBridges(subnets) : undefined;
  await runTool('nft', ['-f', '-'], first + renderNft(scaffold, conntrack, bridges));
  return conntrack;
}

/** Installs the guard. */
export async function applyGuard(scaffold: Scaffold, first = ''): Promise<void> {
  const links = await readMeshLinks([...scaffold.subnets, ...scaffold.joined]);
  await runTool('nft', ['-f', '-'], first + renderGuard(scaffold, links));
}

async function readPresent(): Promise<Present> {
  return { filter: await listIptables('filter'), postrouting: await listIptables('nat', 'POSTROUTING') };
}

/** Whether this kernel can track bridged connections. */
export const hasBridgeConntrack = () => isAccepted(conntrackProbe);

/** Whether this kernel can tell one bridge from another. */
export const hasBridgeNames = () => isAccepted(bridgeNameProbe);

async function isAccepted(input: string): Promise<boolean> {
  const { code } = await runChild('nft', ['-c', '-f', '-'], { timeoutMs: probeTimeoutMs, input });
  return code === 0;
}
