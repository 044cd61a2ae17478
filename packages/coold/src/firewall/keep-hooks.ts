import { setTimeout as delay } from 'node:timers/promises';
import { createBackoff, type Logger, type Task } from '@coold/runtime';
import type { Announcement } from './announcement.ts';
import { hasHooks, liftHooks } from './hooks.ts';
import { listIptables, restoreIptables } from './iptables.ts';
import { lookAgain } from './look-again.ts';
import { intraChain } from './scaffold.ts';

/** Between two looks where nothing was announced: iptables-legacy announces nothing, and a monitor can miss. */
const everyMs = 5000;

/**
 * Keeps the scaffold's hooks above everything else in FORWARD (docs/contract.md §4): netavark puts a chain there that
 * accepts all traffic of its networks. Looks whenever the kernel announces a change of these chains, and every few
 * seconds besides.
 */
export function keepHooks(options: {
  /** Tells when the kernel announced a change of the hooked chains. */
  changes: Pick<Announcement, 'next'>;
  log: Logger;
  onFirstLook: () => void;
  /** Called for each time that something had to be lifted. */
  onRepair: () => void;
  /** Whether what goes is put back by itself, since it is known what it is made of. */
  isKept: () => boolean;
}): Task {
  const { changes, log, onFirstLook, onRepair, isKept } = options;
  return async stop => {
    const backoff = createBackoff({ firstMs: 1000, maxMs: 60_000 });
    let state: HooksState | undefined;
    while (!stop.aborted) {
      // Taken before the look: what changes during it is looked at again.
      const change = changes.next();
      try {
        const now = await liftOnce();
        if (now === 'lifted') {
          onRepair();
          log.warn('something stood above the default deny in FORWARD; its hooks are on top again');
        }
        if (now === 'gone' && state !== 'gone' && !isKept())
          log.error(
            'FORWARD does not lead to the default deny any more: containers reach each other, until ' +
              '`systemctl restart coolify-mesh-fw` puts its hooks back',
          );
        state = now;
        onFirstLook();
        backoff.reset();
        await Promise.race([change, delay(everyMs, undefined, { signal: stop }).catch(() => {})]);
      } catch (error) {
        onFirstLook();
        const waitMs = 1000 + backoff.next();
        log.error(
          { err: error, again_in_ms: waitMs },
          'cannot see to the hooks of the default deny; trying again',
        );
        await delay(waitMs, undefined, { signal: stop }).catch(() => {});
      }
    }
  };
}

/** `none`: a permissive host, which has no default deny. `gone`: it has one, and nothing leads to it. */
export type HooksState = 'in place' | 'lifted' | 'none' | 'gone';

/** Lifts what has to be lifted. @throws Error when the packet filter's tools fail */
export function liftOnce(): Promise<HooksState> {
  return lookAgain(lookOnce);
}

async function lookOnce(): Promise<HooksState> {
  const [forward, postrouting] = await Promise.all([
    listIptables('filter', 'FORWARD'),
    listIptables('nat', 'POSTROUTING'),
  ]);
  const script = liftHooks({ forward, postrouting });
  if (script !== '') {
    await restoreIptables(script);
    return 'lifted';
  }
  if (hasHooks(forward)) return 'in place';
  // Ours alone to put in is what stood there before: who took it out may have meant it.
  return (await listIptables('filter')).includes(`-N ${intraChain}`) ? 'gone' : 'none';
}
