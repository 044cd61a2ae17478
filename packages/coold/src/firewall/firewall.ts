import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { acquireFileLock, type FileLock, type Logger, type Task } from '@coold/runtime';
import { createAnnouncement } from './announcement.ts';
import { createJournal } from './journal.ts';
import { createDefaultDeny, type DefaultDeny } from './keep-deny.ts';
import { createKernel, type Kernel } from './kernel.ts';
import { createSnapshotFiles } from './snapshot-files.ts';
import { createStore, type Store } from './store.ts';

export interface FirewallOptions {
  chain: string;
  /** The snapshots; journal and lock lie beside the first. */
  rulesPath: string;
  bridgeRulesPath: string;
  log: Logger;
  /** A tool of the packet filter is killed after this long, in ms. */
  toolTimeoutMs?: number;
  /** What was done is announced within this long, in ms, or looked for. */
  announcedMs?: number;
  /** How long a lock that another process has is waited for, in ms: one that was just killed may still hold it. */
  lockWaitMs?: number;
  /** Called when the chains that the default deny is hooked into have changed. */
  onHooked?: () => void;
  /** mesh.env, which says what the default deny is made of; a file that is not there names none. */
  meshEnv: string;
}

export interface Firewall {
  store: Store;
  kernel: Kernel;
  /** What the rules are exceptions to. */
  deny: DefaultDeny;
  /** Serves the store until its signal. @throws Error when another coold writes the rules of this host */
  keep(onLoaded: () => void): Task;
}

export function createFirewall(options: FirewallOptions): Firewall {
  const { chain, rulesPath, bridgeRulesPath, log, toolTimeoutMs, announcedMs } = options;
  const { lockWaitMs = 3000, meshEnv, onHooked = () => {} } = options;
  const folder = dirname(rulesPath);
  const changes = createAnnouncement();
  const kernel = createKernel({
    ...{ chain, log },
    ...(toolTimeoutMs === undefined ? {} : { toolTimeoutMs }),
    ...(announcedMs === undefined ? {} : { announcedMs }),
    onHooked() {
      changes.announce();
      onHooked();
    },
  });
  const deny = createDefaultDeny({
    desiredPath: meshEnv,
    ...{ changes, log },
    isWatched: () => kernel.isAnnounced(),
    onMissing: () => store.refresh(),
    onInPlace() {
      if (kernel.isAnyVanished()) void store.bringBack();
    },
  });
  const store = createStore({
    chain,
    kernel,
    files: createSnapshotFiles({ iptables: rulesPath, nft: bridgeRulesPath }, chain),
    journal: createJournal(join(folder, 'allow.pending')),
    log,
    ...{ deny: deny.state, repairDeny: deny.repair },
  });
  return {
    store,
    ...{ kernel, deny },
    keep: onLoaded => async stop => {
      await Promise.all([folder, dirname(bridgeRulesPath)].map(path => mkdir(path, { recursive: true })));
      const lock = await takeLock(join(folder, 'allow.lock'), lockWaitMs);
      const settled = Promise.withResolvers<void>();
      const following = kernel.follow(stop, settled.resolve);
      try {
        // What changes between the listing and the first announcement would be known to nobody.
        await Promise.race([settled.promise, following]); // a stop may come before it begins
        if (!stop.aborted) await store.run(stop, onLoaded);
        await following;
      } finally {
        await lock.release();
      }
    },
  };
}

/** @throws Error when another process keeps it */
export async function takeLock(path: string, waitMs: number): Promise<FileLock> {
  const end = performance.now() + waitMs;
  for (;;) {
    const lock = await acquireFileLock(path);
    if (lock !== undefined) return lock;
    if (performance.now() >= end)
      throw new Error(
        `${path} is locked: another coold writes the firewall of this host, and there must be only one`,
      );
    await delay(100);
  }
}
