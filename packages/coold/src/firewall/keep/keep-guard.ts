import {
  type ChangeSignal,
  createRepeatedWarning,
  errorMessage,
  type Logger,
  type Task,
} from '@coold/runtime';
import { linksElement } from '../deny/guard.ts';
import {
  isNextOrSame,
  isSameMoment,
  type KernelView,
  type Moment,
  noKernelView,
} from '../netlink/kernel-view.ts';
import { runTool } from '../planes/iptables.ts';
import { hasGuardChain } from '../scaffold/guard-counters.ts';
import { readMeshLinks } from '../scaffold/mesh-links.ts';
import { type ApiGuard, renderApiGuard } from './api-guard.ts';
import { longestMs } from './remembered.ts';

/** The interval between checks when nothing is announced, in ms: the scaffold may have been installed meanwhile. */
const everyMs = 30_000;

export interface KeepGuardOptions {
  apiGuard: ApiGuard;
  /** Signals a change of the packet filter. */
  changes: Pick<ChangeSignal, 'count' | 'later'>;
  /** Without it the guard's sets are written at every check. */
  view?: KernelView;
  log: Logger;
  /** Called after every check, with the reason while the guard cannot be written; undefined: it is up to date. */
  onProblem: (why: string | undefined) => void;
  onFirstLook: () => void;
}

/**
 * Writes into the guard which addresses coold listens on, so that containers cannot reach them (docs/contract.md §3,
 * §4), and the bridges of networks that Podman created since the scaffold was installed. The elements stay when coold
 * ends, since nothing listens then. A host without the guard is left as it is.
 */
export function keepGuard(options: KeepGuardOptions): Task {
  const { apiGuard, changes, view = noKernelView, log, onProblem, onFirstLook } = options;
  const warning = createRepeatedWarning(log);
  /** What was last written into the guard, and the packet filter's state right after. */
  let told: { text: string; moment: Moment | undefined; at: number } | undefined;
  return async stop => {
    while (!stop.aborted) {
      const seen = changes.count();
      try {
        const links = linksElement(await readMeshLinks([]));
        // The addresses of an earlier coold are removed once.
        const text = `${renderApiGuard(apiGuard, !apiGuard.isTold)}${links}\n`;
        const before = await view.moment();
        const isOld = told === undefined || performance.now() - told.at > longestMs;
        if (isOld || told?.text !== text || !isSameMoment(told.moment, before)) {
          told = undefined;
          const isThere = await hasGuardChain('arrive');
          if (isThere) {
            await runTool('nft', ['-f', '-'], text);
            apiGuard.isTold = true;
          }
          // The write is itself a change. If another program changed something meanwhile, the guard may have been
          // installed or created again.
          const isOurs = isThere ? isNextOrSame : isSameMoment;
          const moment = await view.moment();
          if (isOurs(before, moment)) told = { text, moment, at: performance.now() };
        }
        warning.over();
        onProblem(undefined);
      } catch (error) {
        const why = errorMessage(error);
        onProblem(why);
        warning.warn(
          why,
          {},
          'cannot write into the guard which ports containers must not reach and which bridges they use; trying again',
        );
      }
      onFirstLook();
      await changes.later(seen, everyMs, stop);
    }
  };
}
