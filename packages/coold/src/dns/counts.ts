import type { Rcode } from './wire.ts';

/** Queries of one namespace's listener, by how they were answered. */
export type QueryCounts = Map<string, number>;

export function count(counts: QueryCounts, rcode: string): void {
  counts.set(rcode, (counts.get(rcode) ?? 0) + 1);
}

const names: readonly string[] = [
  ...(['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'] satisfies Rcode[]),
  ...['YXDOMAIN', 'YXRRSET', 'NXRRSET', 'NOTAUTH', 'NOTZONE'],
];

/** The name of a header's code, which may be an upstream's. */
export function rcodeName(code: number): string {
  return names[code] ?? `RCODE${code}`;
}

/** Sums of queries by one of the two. */
export function total<K extends 'namespace' | 'rcode'>(
  counts: readonly (Record<K, string> & { queries: number })[],
  by: K,
): ReadonlyMap<string, number> {
  const sums: QueryCounts = new Map();
  for (const entry of counts) sums.set(entry[by], (sums.get(entry[by]) ?? 0) + entry.queries);
  return sums;
}
