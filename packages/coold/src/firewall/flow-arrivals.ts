import type { Logger } from '@coold/runtime';
import { createArrivals, type Passage } from './arrivals.ts';
import { flowsAllowed, flowsForwarded } from './guard.ts';
import { hasGuardChain, readCounter } from './guard-counters.ts';
import { explainForward } from './other-filters.ts';

/**
 * Tells whether what allow rules let through is dropped by something else of this host's packet filter, and by what it may
 * be. Never rejects.
 */
export function createFlowArrivals(log: Logger): () => Promise<string | undefined> {
  const look = createArrivals({ log, looks: 2, read: readFlows, describe: describeLost });
  return () => look('FORWARD');
}

async function describeLost(_place: string, { began, arrived }: Passage): Promise<string> {
  return `of ${began} connections that are allowed, this host let ${arrived} pass last: ${await explainForward()}`;
}

async function readFlows(): Promise<Passage | undefined> {
  if (!(await hasGuardChain('forwarded'))) return undefined;
  // In this order: what comes in between the two is never taken for a lost one.
  const began = await readCounter(flowsAllowed);
  const arrived = await readCounter(flowsForwarded);
  return { began, arrived };
}
