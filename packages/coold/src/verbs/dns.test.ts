import { describe, expect, it } from 'vitest';
import { caller } from '../../test/caller.ts';
import { directoryOf, silent } from '../../test/dns-questions.ts';
import { createDns } from '../dns/dns.ts';
import { watchDns } from '../dns/dns-metrics.ts';
import { createMetrics } from '../transport/metrics.ts';
import { dnsHandlers } from './dns.ts';

const shop = { name: 'shop', network: 'shop-mesh', gateway: '10.210.0.1' };
const mute = { name: 'mute', network: 'mute-mesh', gateway: '0.0.0.0' };
const dns = createDns({
  zone: 'coolify.internal',
  upstreams: [{ host: '127.0.0.1', port: 9 }],
  namespaces: [shop, mute],
  directory: directoryOf({ 'web.shop': ['10.210.0.5'] }),
  log: silent,
});
const call = caller(dnsHandlers(dns));

describe('dns.lookup', () => {
  it('returns the addresses of a name, whatever its case', async () => {
    expect(await call('dns.lookup', { name: 'Web.shop.coolify.internal.' })).toEqual({
      name: 'web.shop.coolify.internal',
      in_zone: true,
      rcode: 'NOERROR',
      ttl: 5,
      answers: [{ address: '10.210.0.5', host_mgmt_ip: '100.64.0.1', container_id: 'web.shop-0' }],
      left_out: [],
      names: [],
    });
  });

  it('returns the holders of an address, by its reverse name', async () => {
    expect(await call('dns.lookup', { name: '5.0.210.10.in-addr.arpa' })).toMatchObject({
      in_zone: true,
      rcode: 'NOERROR',
      answers: [],
      names: ['web.shop.coolify.internal'],
    });
  });

  it('reports that a name is missing, or that no upstream answered', async () => {
    expect(await call('dns.lookup', { name: 'web.coolify.internal' })).toEqual({
      name: 'web.coolify.internal',
      in_zone: true,
      rcode: 'NXDOMAIN',
      ttl: 5,
      answers: [],
      left_out: [],
      names: [],
    });
    expect(await call('dns.lookup', { name: 'example.com' })).toEqual({
      name: 'example.com',
      in_zone: false,
      rcode: 'SERVFAIL',
      ttl: 0,
      answers: [],
      left_out: [],
      names: [],
    });
  });

  it.each(['', '.', 'a..b', 'a b', 'ü.internal', `${'a'.repeat(64)}.b`])('refuses "%s"', async name => {
    await expect(call('dns.lookup', { name })).rejects.toMatchObject({ code: 400, field: 'name' });
  });
});

it('dns.stats reports the counts, the directory, and the listeners without an answer', async () => {
  expect(await call('dns.stats')).toEqual({
    queries: 0,
    by_rcode: {},
    by_namespace: {},
    forwarded: 1,
    forward_errors: 1,
    directory: { rows: 1, age_ms: 1, connected: true, resubscriptions: 2 },
    listeners: [{ namespace: 'shop', address: '10.210.0.1', bound: false }],
  });
});

it('metrics have the same figures, read at each scrape', async () => {
  const metrics = createMetrics('1');
  const [first, second] = [dns.stats(), dns.stats()];
  const counts = (queries: number) => [{ namespace: 'shop', rcode: 'NXDOMAIN', queries }];
  let stats = { ...first, counts: counts(3) };
  metrics.extend(registry => watchDns(registry, () => stats));
  expect((await metrics.render()).text).toContain(
    'coold_dns_queries_total{namespace="shop",rcode="NXDOMAIN"} 3',
  );
  stats = { ...second, counts: counts(5) };
  const { text } = await metrics.render();
  for (const line of [
    'coold_dns_queries_total{namespace="shop",rcode="NXDOMAIN"} 5',
    'coold_dns_forwarded_total 1',
    'coold_dns_forward_errors_total 1',
    'coold_dns_cached_total 0',
    'coold_dns_stale_total 0',
    'coold_dns_upstream_answering{upstream="127.0.0.1:9"} 1',
    'coold_dns_directory_rows 1',
    'coold_dns_directory_age_seconds 0.001',
    'coold_dns_listener_bound{namespace="shop"} 0',
  ])
    expect(text).toContain(`${line}\n`);
});

it.each([
  [true, false],
  [false, true],
])(
  'of several gateways of a namespace, bound or not (%s, %s), the unbound one is reported',
  async (first, second) => {
    const metrics = createMetrics('1');
    const stats = dns.stats();
    const [listener] = stats.listeners;
    if (listener === undefined) expect.fail('it has a listener');
    const listeners = [
      { ...listener, bound: first },
      { ...listener, address: '10.210.9.1', bound: second },
    ];
    metrics.extend(registry => watchDns(registry, () => ({ ...stats, listeners })));
    expect((await metrics.render()).text).toContain('coold_dns_listener_bound{namespace="shop"} 0\n');
  },
);
