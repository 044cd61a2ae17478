import { access, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncFolder } from '@coold/runtime';
import { leaveHost } from '../../builds/network/leave-host.ts';
import { guardName, guardTable } from '../deny/guard.ts';
import { listIptables, restoreIptables, runTool } from '../planes/iptables.ts';
import { createTool } from '../planes/kernel-tool.ts';
import { createLook } from '../planes/look.ts';
import { listBridge, listObjects } from '../planes/nft-plane.ts';
import { sweepProof } from '../planes/nft-proof.ts';
import { bridgeTable } from '../rule/nft-rule.ts';
import { takeLock } from '../store/take-lock.ts';
import { readDesiredScaffold } from './desired-scaffold.ts';
import { sweepReference } from './reference-tables.ts';
import { teardownIptables, teardownNft } from './teardown.ts';
import type { TeardownConfig } from './teardown-command.ts';

/** How long a listing of all rules may take, in ms. */
const listingMs = 60_000;

/**
 * `coold firewall teardown`: first removes the configuration of the default deny, which coold and the next boot would
 * follow, then everything that it put into the packet filter.
 *
 * @throws Error when coold still runs, or a packet filter program fails
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
    switch (await leaveHost(runTool)) {
      case 'in use':
        say('builds run: their rules stay until this command is run again');
        break;
      case 'left':
        say('the rules of builds are gone, too');
        break;
      case 'had nothing':
        break;
    }
    return 0;
  } finally {
    await lock?.release();
  }
}

/** The guard is entirely ours; of the bridged plane's table, only our part goes. */
async function renderNftTeardown(): Promise<string> {
  await sweepProof(runTool);
  await sweepReference();
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
