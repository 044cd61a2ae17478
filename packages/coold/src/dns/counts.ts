import { type Rcode, rcodes } from './wire.ts';

/**
 * Queries of one namespace's listeners by response code, of the header or of EDNS. The memory is shared by the threads
 * that answer: each adds atomically.
 */
export type QueryCounts = BigInt64Array<ArrayBufferLike>;

/** The codes of the header, and the one EDNS code that coold sends. */
const codes = 17;

export function createQueryCounts(): QueryCounts {
  return sharedCells(codes);
}

/** Returns numbers, all 0, in memory that threads can share. */
export function sharedCells(count: number): BigInt64Array<ArrayBufferLike> {
  return new BigInt64Array(new SharedArrayBuffer(count * BigInt64Array.BYTES_PER_ELEMENT));
}

/** @param code of the header, or BADVERS */
export function count(counts: QueryCounts, code: number): void {
  Atomics.add(counts, code, 1n);
}

/** Returns the counts that are not 0. */
export function readCounts(counts: QueryCounts): { rcode: string; queries: number }[] {
  return Array.from(counts, (_, code) => ({
    rcode: rcodeName(code),
    queries: Number(Atomics.load(counts, code)),
  })).filter(({ queries }) => queries > 0);
}

const names: readonly string[] = [
  ...(['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'] satisfies Rcode[]),
  ...['YXDOMAIN', 'YXRRSET', 'NXRRSET', 'NOTAUTH', 'NOTZONE'],
];

/** Returns the name of a code, which may come from an upstream. */
export function rcodeName(code: number): string {
  return code === rcodes.BADVERS ? 'BADVERS' : (names[code] ?? `RCODE${code}`);
}

/** Sums queries by namespace or by code. */
export function total<K extends 'namespace' | 'rcode'>(
  counts: readonly (Record<K, string> & { queries: number })[],
  by: K,
): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const entry of counts) sums.set(entry[by], (sums.get(entry[by]) ?? 0) + entry.queries);
  return sums;
}
