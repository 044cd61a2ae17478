import { setTimeout as delay } from 'node:timers/promises';
import type { Logger, Task } from '@coold/runtime';
import { createFlowArrivals } from './flow-arrivals.ts';

const everyMs = 10_000;

/** What status tells of flows that are allowed and do not pass. */
export interface FlowState {
  /** Undefined: as far as is known, all of them do. */
  lost: string | undefined;
}

/** Looks every 10 s whether allowed flows are dropped by something else, and keeps what it finds. */
export function watchFlows(state: FlowState, log: Logger, arrivals = createFlowArrivals(log)): Task {
  return async stop => {
    while (!stop.aborted) {
      const now = await arrivals();
      if (now !== undefined && state.lost === undefined)
        log.error({ reason: now }, 'allowed flows do not pass');
      if (now === undefined && state.lost !== undefined) log.info('allowed flows pass again');
      state.lost = now;
      await delay(everyMs, undefined, { signal: stop }).catch(() => {});
    }
  };
}
