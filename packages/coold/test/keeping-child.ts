// Keeps the default deny, for tests, in the network namespace that it is started in, where no announcement ever comes: the
// clock and the kernel's own words are all there is. Tells ten times a second how things stand, as JSON lines.
import { subscribe } from 'node:diagnostics_channel';
import { createChangeSignal } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import { createDefaultDeny } from '../src/firewall/keep/keep-deny.ts';
import { keepGuard } from '../src/firewall/keep/keep-guard.ts';
import { keepHooks } from '../src/firewall/keep/keep-hooks.ts';
import { loadKernelView } from '../src/firewall/planes/load-kernel-view.ts';
import { createGuardCounters } from '../src/firewall/scaffold/guard-counters.ts';

/** How things stand. */
export interface Kept {
  deny: string;
  repairs: number;
  lifted: number;
  /** Programs that were started so far. */
  programs: number;
  /** Whether the kernel itself tells of changes. */
  isTold: boolean;
  /** What the guard has counted of DNS, by the kernel's own words. */
  dnsAsked: number;
}

const [desiredPath = ''] = process.argv.slice(2);
const log = createLogger('coold', { level: 'off', components: new Map() }, false);
let programs = 0;
subscribe('child_process', () => {
  programs += 1;
});
const view = loadKernelView();
const counters = createGuardCounters(view);
const silent = createChangeSignal();
const apiGuard = { sockets: [{ host: '100.64.0.1', port: 9443 }], clients: [], isTold: false };
const deny = createDefaultDeny({
  desiredPath,
  changes: silent,
  view,
  log,
  apiGuard,
  isWatched: () => true,
  isAnnounced: () => false,
  onMissing: async () => {},
  onInPlace: () => {},
});
let lifted = 0;
const stop = new AbortController();
process.stdin.once('end', () => stop.abort()).resume();
const keeping = [
  deny.keep(() => {})(stop.signal),
  keepGuard({ apiGuard, changes: silent, view, log, onProblem: () => {}, onFirstLook: () => {} })(
    stop.signal,
  ),
  keepHooks({
    changes: silent,
    view,
    log,
    onFirstLook: () => {},
    onRepair() {
      lifted += 1;
    },
    isKept: () => true,
  })(stop.signal),
];
while (!stop.signal.aborted) {
  const isTold = (await view.moment()) !== undefined;
  const dnsAsked = isTold ? await counters.packets('dns_asked').catch(() => -1) : -1;
  const kept: Kept = { deny: deny.state().kind, repairs: deny.repairs(), lifted, programs, isTold, dnsAsked };
  process.stdout.write(`${JSON.stringify(kept)}\n`);
  await new Promise(resolve => setTimeout(resolve, 100));
}
await Promise.all(keeping);
