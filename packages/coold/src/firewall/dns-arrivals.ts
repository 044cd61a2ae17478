import type { Logger } from '@coold/runtime';
import { dnsArrived, dnsAsked, guardName } from './guard.ts';
import { explainInput } from './input-filters.ts';
import { runTool } from './iptables.ts';
import { listObjects } from './nft-plane.ts';
import { isObject } from './nft-rule.ts';

/** Packets for port 53 of one gateway: those that came in, and those of them that a socket could get. */
export interface DnsPackets {
  asked: number;
  arrived: number;
}

/**
 * Tells whether what containers ask at a gateway arrives there, or what is in the way. Never rejects; undefined also where it
 * is not known, as on a host without the guard.
 */
export type DnsArrivals = (gateway: string) => Promise<string | undefined>;

/**
 * A question that coold asks itself goes over the loopback and not the way that a container's does: in by the bridge and
 * through the host's own packet filter, which ufw and its like let nothing through that they do not know. The guard counts
 * the containers' own questions before and behind all of that.
 */
export function createDnsArrivals(options: {
  log: Logger;
  read?: (gateway: string) => Promise<DnsPackets | undefined>;
  explain?: (gateway: string) => Promise<string>;
}): DnsArrivals {
  const { log, read = readPackets, explain = explainInput } = options;
  const before = new Map<string, DnsPackets>();
  const lost = new Map<string, string>();
  return async gateway => {
    try {
      const now = await read(gateway);
      const earlier = before.get(gateway);
      if (now === undefined) {
        before.delete(gateway);
        lost.delete(gateway);
        return undefined;
      }
      before.set(gateway, now);
      if (earlier === undefined) return undefined;
      const asked = now.asked - earlier.asked;
      const arrived = now.arrived - earlier.arrived;
      // Nobody asked: what was so stays so.
      if (asked > arrived)
        lost.set(
          gateway,
          `of ${asked} packets that containers sent it last, ${Math.max(arrived, 0)} arrived: ${await explain(gateway)}`,
        );
      else if (arrived > 0) lost.delete(gateway);
    } catch (error) {
      log.debug({ err: error, gateway }, 'it is not known whether what containers ask arrives');
    }
    return lost.get(gateway);
  };
}

/** What the guard has counted; undefined without a guard. @throws Error */
async function readPackets(gateway: string): Promise<DnsPackets | undefined> {
  const chains = await listObjects(runTool, 'chain', ['chains', 'inet']);
  if (!chains.some(({ table, name }) => table === guardName && name === 'arrived')) return undefined;
  // In this order, so that what comes in between the two has arrived and was not asked, never the other way round.
  const asked = await readCounter(dnsAsked, gateway);
  const arrived = await readCounter(dnsArrived, gateway);
  return { asked, arrived };
}

async function readCounter(set: string, gateway: string): Promise<number> {
  const [listed] = await listObjects(runTool, 'set', ['set', 'inet', guardName, set]);
  const elements = listed?.['elem'];
  if (!Array.isArray(elements)) return 0;
  for (const element of elements) {
    const inner: unknown = isObject(element) ? element['elem'] : undefined;
    if (!isObject(inner) || inner['val'] !== gateway || !isObject(inner['counter'])) continue;
    return Number(inner['counter']['packets']);
  }
  return 0;
}
