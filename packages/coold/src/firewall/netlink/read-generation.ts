import { attributesOf, headOf, nfTablesHead, numberOf } from './netlink.ts';
import type { NetlinkSocket } from './netlink-socket.ts';

/** The number of linux/netfilter/nf_tables.h. */
const getGeneration = 16;

/**
 * Reads the generation of nf_tables, which each transaction increases. Returns undefined on an old kernel that does not
 * report it.
 */
export function readGeneration(socket: NetlinkSocket): number | undefined {
  const answer = socket.get(getGeneration, [headOf(0)]);
  return answer === undefined ? undefined : generationIn(answer.body);
}

/** Decodes the generation in an answer or an announcement. */
export function generationIn(body: Buffer): number | undefined {
  return numberOf(attributesOf(body.subarray(nfTablesHead)).get(1));
}

/** Returns the following generation: a 32-bit number that is never 0. */
export const nextGeneration = (generation: number) => (generation + 1) >>> 0 || 1;
