import { type Logger, pause, type Task } from '@coold/runtime';
import { flowsAllowed, flowsForwarded } from '../deny/guard.ts';
import type { GuardCounters } from '../scaffold/guard-counters.ts';
import { explainForward } from '../scaffold/other-filters.ts';
import { createArrivals, type Passage } from './arrivals.ts';

const everyMs = 10_000;

/** What status reports about flows that are allowed and do not pass. */
export interface FlowState {
  /** What is lost, and what may drop it; undefined when all allowed flows pass, as far as is known. */
  lost: string | undefined;
}

/**
 * Returns a task that checks every 10 s whether other rules of this host's packet filter drop flows that allow rules
 * let through, and keeps the result in `state`. The task never rejects.
 */
export function watchFlows(state: FlowState, counters: GuardCounters, log: Logger): Task {
  const read = () => readFlows(counters);
  const findLoss = createArrivals({ log, looks: 2, read, describe: describeLost });
  return async stop => {
    while (!stop.aborted) {
      const now = await findLoss('FORWARD');
      if (now !== undefined && state.lost === undefined)
        log.error({ reason: now }, 'allowed flows do not pass');
      if (now === undefined && state.lost !== undefined) log.info('allowed flows pass again');
      state.lost = now;
      await pause(everyMs, stop);
    }
  };
}

async function describeLost(_place: string, { began, arrived }: Passage): Promise<string> {
  return `of ${began} connections that are allowed, this host let ${arrived} pass last: ${await explainForward()}`;
}

async function readFlows(counters: GuardCounters): Promise<Passage | undefined> {
  if (!(await counters.hasChain('forwarded'))) return undefined;
  // Read in this order, a connection that begins between the two reads never looks lost.
  const began = await counters.packets(flowsAllowed);
  const arrived = await counters.packets(flowsForwarded);
  return { began, arrived };
}
