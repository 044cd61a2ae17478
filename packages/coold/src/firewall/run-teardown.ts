import { access, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncFolder } from '@coold/runtime';
import { readDesiredScaffold } from './desired-scaffold.ts';
import { takeLock } from './firewall.ts';
import { guardName, guardTable } from './guard.ts';
import { listIptables, restoreIptables, runTool } from './iptables.ts';
import { createTool } from './kernel-tool.ts';
import { createLook } from './look.ts';
import { listBridge, listObjects } from './nft-plane.ts';
import { sweepProof } from './nft-proof.ts';
import { bridgeTable } from './nft-rule.ts';
import { teardownIptables, teardownNft } from './teardown.ts';
import type { TeardownConfig } from './teardown-command.ts';

/** How long a listing of every rule may take, in ms. */
const listingMs = 60_000;

/**
 * `coold firewall teardown`: first what says that this host should have a default deny, which coold and the next boot would
 * go by, then everything that it put into the packet filter.
 *
 * @throws Error when coold still runs, or a program of the packet filter fails
 */
export async function runTeardown({ chainName, rulesPath, meshEnv }: TeardownConfig): Promise<number> {
  const folder = dirname(rulesPath);
  const hasFolder = await access(folder).then(
    () => true,
    () => false,
  );
  const lock = hasFolder ? await takeLock(join(folder, 'allow.lock'), 0) : undefined;
  const say = (line: string) => process.stderr.write(`coold firewall teardown: ${line}\n`);
  try {
    if ((await readDesiredScaffold(meshEnv)).kind !== 'none') {
      await rename(meshEnv, `${meshEnv}.removed`);
      await syncFolder(dirname(meshEnv));
      say(`${meshEnv} named a default deny, and is ${meshEnv}.removed now`);
    }
    const iptables = teardownIptables(chainName, {
      filter: await listIptables('filter'),
      postrouting: await listIptables('nat', 'POSTROUTING'),
    });
    if (iptables !== '') await restoreIptables(iptables);
    say(iptables === '' ? 'iptables had nothing of ours' : 'iptables has nothing of ours any more');
    const nft = await renderNftTeardown();
    if (nft !== '') await runTool('nft', ['-f', '-'], nft);
    say(nft === '' ? 'nft had nothing of ours' : 'nft has nothing of ours any more');
    return 0;
  } finally {
    await lock?.release();
  }
}

/** The guard is ours alone; of the bridged plane's table goes what is. */
async function renderNftTeardown(): Promise<string> {
  await sweepProof(runTool);
  const tables = await listObjects(runTool, 'table', ['tables', 'inet']);
  const guard = tables.some(({ name }) => name === guardName) ? `delete table ${guardTable}\n` : '';
  return guard + (await renderBridgeTeardown());
}

async function renderBridgeTeardown(): Promise<string> {
  const mirror = await listBridge(createLook(createTool(listingMs)()));
  if (mirror === undefined) return '';
  const inTable = async (kind: 'chain' | 'set') =>
    (await listObjects(runTool, kind, [`${kind}s`, 'bridge'])).flatMap(({ table, name }) =>
      table === bridgeTable && typeof name === 'string' ? [name] : [],
    );
  return teardownNft({
    chains: await inTable('chain'),
    sets: await inTable('set'),
    ours: [...mirror.rules.values()].flatMap(({ places }) =>
      places.filter(place => typeof place === 'number'),
    ),
    foreign: mirror.foreign.size,
  });
}
