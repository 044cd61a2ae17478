import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createChangeSignal, type Logger, type Task } from '@coold/runtime';
import type { ApiGuard } from './keep/api-guard.ts';
import { createDefaultDeny, type DefaultDeny } from './keep/keep-deny.ts';
import type { KernelView } from './netlink/kernel-view.ts';
import { createKernel, type Kernel } from './planes/follow/kernel.ts';
import { createJournal } from './store/journal.ts';
import { createSnapshotFiles } from './store/snapshot-files.ts';
import { createStore, type Store } from './store/store.ts';
import { takeLock } from './store/take-lock.ts';

export interface FirewallOptions {
  chain: string;
  /** The file of the rule snapshots. Journal and lock file are beside it. */
  rulesPath: string;
  bridgeRulesPath: string;
  log: Logger;
  /** A packet filter tool is killed after this long, in ms. */
  toolTimeoutMs?: number;
  /** How long to wait for the kernel's announcement of a change before the rules are listed, in ms. */
  announcedMs?: number;
  /** How long to wait for a lock that another process holds, in ms. A process that was just killed may still hold it. */
  lockWaitMs?: number;
  /** Called when the chains with the default deny's hooks have changed. */
  onHooked?: () => void;
  /** mesh.env, which configures the default deny. A missing file configures none. */
  meshEnv: string;
  /** What the guard has to know of coold's own ports. */
  apiGuard?: ApiGuard;
  /** Tells whether the packet filter has changed. By default nothing tells, and it is listed each time. */
  view?: KernelView;
}

export interface Firewall {
  store: Store;
  kernel: Kernel;
  /** The default deny that the rules are exceptions to. */
  deny: DefaultDeny;
  /** Schedules a check of the default deny, for example when Podman has a new bridge. */
  lookAtDeny(): void;
  /** Serves the store until its signal aborts. @throws Error when another coold writes this host's rules */
  keep(onLoaded: () => void): Task;
}

export function createFirewall(options: FirewallOptions): Firewall {
  const { chain, rulesPath, bridgeRulesPath, log, toolTimeoutMs, announcedMs } = options;
  const { lockWaitMs = 3000, meshEnv, apiGuard, view, onHooked = () => {} } = options;
  const folder = dirname(rulesPath);
  const changes = createChangeSignal();
  const kernel = createKernel({
    chain,
    log,
    ...(toolTimeoutMs === undefined ? {} : { toolTimeoutMs }),
    ...(announcedMs === undefined ? {} : { announcedMs }),
    onHooked(touched) {
      deny.touch(touched);
      changes.announce();
      onHooked();
    },
  });
  const deny = createDefaultDeny({
    desiredPath: meshEnv,
    changes,
    log,
    isWatched: kernel.isWatched,
    // The kernel announces the removal of thousands of rules over several seconds. With so many rules the deny is also
    // checked periodically.
    isAnnounced: () => kernel.isAnnounced() && kernel.iptables.rules.size <= manyRules,
    ...(apiGuard === undefined ? {} : { apiGuard }),
    ...(view === undefined ? {} : { view }),
    onMissing: () => store.refresh(),
    onInPlace() {
      if (kernel.isAnyVanished()) void store.restoreVanished();
    },
    onGuardNew: () => void store.fillGuard(),
  });
  const store = createStore({
    chain,
    kernel,
    files: createSnapshotFiles({ iptables: rulesPath, nft: bridgeRulesPath }, chain),
    journal: createJournal(join(folder, 'allow.pending')),
    log,
    deny: deny.state,
    judgeDeny: deny.judge,
    repairDeny: deny.repair,
  });
  return {
    store,
    kernel,
    deny,
    lookAtDeny: changes.announce,
    keep: onLoaded => async stop => {
      await Promise.all([folder, dirname(bridgeRulesPath)].map(path => mkdir(path, { recursive: true })));
      const lock = await takeLock(join(folder, 'allow.lock'), lockWaitMs);
      const settled = Promise.withResolvers<void>();
      const following = kernel.follow(stop, settled.resolve);
      try {
        // Otherwise changes between the listing and the first announcement would be missed.
        await Promise.race([settled.promise, following]); // a stop may come before it begins
        if (!stop.aborted) await store.run(stop, onLoaded);
        await following;
      } finally {
        await lock.release();
      }
    },
  };
}

/** With more rules than this a check each second comes before the announcement; measured at 1,000 and 5,000 rules. */
const manyRules = 1000;
