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
