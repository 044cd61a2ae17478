import {
  DnsLookupRequestSchema,
  DnsLookupResponseSchema,
  DnsStatsRequestSchema,
  DnsStatsResponseSchema,
} from '@coold/proto';
import type { Dns } from '../dns/dns.ts';
import { domainName } from '../dns/zone/names.ts';
import { type Handler, handler } from '../handler.ts';
import { invalid } from './names.ts';

/** The DNS verbs: what this host's DNS would answer, and how it does (docs/contract.md §3). */
export function dnsHandlers(dns: Pick<Dns, 'lookUp' | 'stats'>): Record<string, Handler> {
  return {
    'dns.lookup': handler(DnsLookupRequestSchema, DnsLookupResponseSchema, async ({ name: text }) => {
      const name = domainName.parse(text);
      if (name === undefined) throw invalid('name', `expected ${domainName.expected}`);
      return dns.lookUp(name);
    }),
    'dns.stats': handler(DnsStatsRequestSchema, DnsStatsResponseSchema, async () => {
      const { queries, byRcode, byNamespace, forwarded, forwardErrors, directory, listeners } = dns.stats();
      const { rows, ageMs, connected, resubscriptions } = directory;
      return {
        queries: BigInt(queries),
        byRcode: numbers(byRcode),
        byNamespace: numbers(byNamespace),
        forwarded: BigInt(forwarded),
        forwardErrors: BigInt(forwardErrors),
        directory: {
          rows: BigInt(rows),
          ageMs: BigInt(Math.round(ageMs)),
          connected,
          resubscriptions: BigInt(resubscriptions),
        },
        listeners: listeners.map(({ namespace, address, bound, problem }) => ({
          namespace,
          address,
          bound,
          ...(problem === undefined ? {} : { problem }),
        })),
      };
    }),
  };
}

function numbers(counts: ReadonlyMap<string, number>): Record<string, bigint> {
  return Object.fromEntries([...counts].map(([name, count]) => [name, BigInt(count)]));
}
