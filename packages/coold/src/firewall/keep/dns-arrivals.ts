import type { Logger } from '@coold/runtime';
import { dnsArrived, dnsAsked } from '../deny/guard.ts';
import type { GuardCounters } from '../scaffold/guard-counters.ts';
import { explainInput } from '../scaffold/other-filters.ts';
import { createArrivals, type Passage } from './arrivals.ts';

/**
 * Tells whether containers' questions to a gateway arrive, or what drops them. Never rejects. coold cannot test this by
 * asking itself: its own question uses the loopback, while a container's comes in by the bridge and through the host's
 * own packet filter, where ufw and the like drop what they do not know. So the guard counts the containers' questions
 * before and after that filter.
 */
export function createDnsArrivals(
  counters: GuardCounters,
  log: Logger,
): (gateway: string) => Promise<string | undefined> {
  const read = (gateway: string) => readPackets(counters, gateway);
  return createArrivals({ log, read, describe: describeLost });
}

async function describeLost(gateway: string, { began, arrived }: Passage): Promise<string> {
  return `of ${began} packets that containers sent it last, ${arrived} arrived: ${await explainInput(gateway)}`;
}

async function readPackets(counters: GuardCounters, gateway: string): Promise<Passage | undefined> {
  if (!(await counters.hasChain('arrived'))) return undefined;
  // Read in this order, a question that arrives between the two reads never looks lost.
  const began = await counters.packets(dnsAsked, gateway);
  const arrived = await counters.packets(dnsArrived, gateway);
  return { began, arrived };
}
