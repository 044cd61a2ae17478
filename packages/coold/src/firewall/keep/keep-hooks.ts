import { type ChangeSignal, createBackoff, type Logger, pause, type Task } from '@coold/runtime';
import { intraChain } from '../deny/scaffold.ts';
import { type KernelView, noKernelView } from '../netlink/kernel-view.ts';
import { listIptables, restoreIptables } from '../planes/iptables.ts';
import { retryChange } from '../planes/retry-change.ts';
import { hasHooks, isBelowNetavark, liftHooks } from '../scaffold/hooks.ts';
import { Remembered } from './remembered.ts';

/**
 * The interval between checks when nothing is announced, in ms: iptables-legacy announces nothing, and a monitor can
 * miss something.
 */
const everyMs = 5000;

/**
 * Keeps the scaffold's hooks above everything else in FORWARD (docs/contract.md §4): netavark inserts a chain there
 * that accepts all traffic of its networks. Checks whenever the kernel announces a change of these chains, and every
 * few seconds besides. It runs iptables only when the kernel cannot confirm that nothing has changed.
 */
export function keepHooks(options: {
  /** Signals a change of the hooked chains. */
  changes: Pick<ChangeSignal, 'count' | 'later'>;
  /** Without it every check lists the chains. */
  view?: KernelView;
  log: Logger;
  onFirstLook: () => void;
  /** Called each time a hook was moved. */
  onRepair: () => void;
  /** Whether missing hooks are restored by the keeper of the deny, which knows what they should be. */
  isKept: () => boolean;
}): Task {
  const { changes, view = noKernelView, log, onFirstLook, onRepair, isKept } = options;
  const looks = new Remembered<HooksState>(view);
  return async stop => {
    const backoff = createBackoff({ firstMs: 1000, maxMs: 60_000 });
    let state: HooksState | undefined;
    while (!stop.aborted) {
      // Taken before the check, so that a change during the check is checked again.
      const seen = changes.count();
      try {
        const now = await looks.get('hooks', liftOnce);
        if (now === 'lifted' || now === 'lifted above netavark') onRepair();
        if (now === 'lifted above netavark')
          log.info(
            'a network of Podman came up and netavark put its chains above the default deny; its hooks are on top again',
          );
        if (now === 'lifted')
          log.warn('another rule was above the default deny in FORWARD; the hooks are on top again');
        if (now === 'gone' && state !== 'gone' && !isKept())
          log.error(
            'FORWARD does not lead to the default deny any more: containers reach each other, until ' +
              '`systemctl restart coolify-mesh-fw` puts its hooks back',
          );
        state = now;
        onFirstLook();
        backoff.reset();
        await changes.later(seen, everyMs, stop);
      } catch (error) {
        onFirstLook();
        const waitMs = 1000 + backoff.next();
        log.error(
          { err: error, again_in_ms: waitMs },
          'cannot keep the hooks of the default deny; trying again',
        );
        await pause(waitMs, stop);
      }
    }
  };
}

/** `none`: a permissive host without a default deny. `gone`: the deny exists and no hook leads to it. */
export type HooksState = 'in place' | 'lifted' | 'lifted above netavark' | 'none' | 'gone';

/** Moves the hooks that are not first. @throws Error when the packet filter's tools fail */
function liftOnce(): Promise<HooksState> {
  return retryChange(lookOnce);
}

async function lookOnce(): Promise<HooksState> {
  const [forward, postrouting] = await Promise.all([
    listIptables('filter', 'FORWARD'),
    listIptables('nat', 'POSTROUTING'),
  ]);
  const script = liftHooks({ forward, postrouting });
  if (script !== '') {
    await restoreIptables(script);
    return isBelowNetavark({ forward, postrouting }) ? 'lifted above netavark' : 'lifted';
  }
  if (hasHooks(forward)) return 'in place';
  // Hooks are only moved here, never created: whoever removed them may have done so on purpose.
  return (await listIptables('filter')).includes(`-N ${intraChain}`) ? 'gone' : 'none';
}
