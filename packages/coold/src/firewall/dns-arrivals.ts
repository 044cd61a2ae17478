import type { Logger } from '@coold/runtime';
import { createArrivals, type Passage } from './arrivals.ts';
import { dnsArrived, dnsAsked } from './guard.ts';
import { hasGuardChain, readCounter } from './guard-counters.ts';
import { explainInput } from './other-filters.ts';

/**
 * Tells whether what containers ask at a gateway arrives there, or what is in the way. Never rejects.
 *
 * A question that coold asks itself goes over the loopback and not the way that a container's does: in by the bridge and
 * through the host's own packet filter, where ufw and its like let nothing through that they do not know. The guard counts
 * the containers' own questions before and behind all of that.
 */
export function createDnsArrivals(log: Logger): (gateway: string) => Promise<string | undefined> {
  return createArrivals({ log, read: readPackets, describe: describeLost });
}

async function describeLost(gateway: string, { began, arrived }: Passage): Promise<string> {
  return `of ${began} packets that containers sent it last, ${arrived} arrived: ${await explainInput(gateway)}`;
}

async function readPackets(gateway: string): Promise<Passage | undefined> {
  if (!(await hasGuardChain('arrived'))) return undefined;
  // In this order: what comes in between the two is taken for one that arrived without being asked, never for a lost one.
  const began = await readCounter(dnsAsked, gateway);
  const arrived = await readCounter(dnsArrived, gateway);
  return { began, arrived };
}
