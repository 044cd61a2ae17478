import { parseConfig } from '@coold/runtime';
import { describe, expect, it } from 'vitest';
import { cooldCommand } from './config.ts';

const parse = (env: Record<string, string>) =>
  parseConfig(cooldCommand, { argv: [], env: { COOLD_HOST_MGMT_IP: '100.64.0.1', ...env }, version: '1' });
const api = { COOLD_API_BIND: '100.64.0.1:8443', COOLD_API_TOKEN_FILE: '/etc/coolify/api-token' };

describe('the metrics', () => {
  it('are off unless they have an address, of loopback or of the mesh', () => {
    expect(parse({})).toMatchObject({ kind: 'run', config: { metricsBind: undefined } });
    for (const [bind, host] of [
      ['127.0.0.1:9464', '127.0.0.1'],
      ['[::1]:9464', '::1'],
      ['100.64.0.1:9464', '100.64.0.1'],
    ] as const)
      expect(parse({ COOLD_METRICS_BIND: bind })).toMatchObject({
        kind: 'run',
        config: { metricsBind: { host, port: 9464 } },
      });
  });

  it.each(['0.0.0.0:9464', '[::]:9464', '203.0.113.9:9464', '100.64.0.2:9464', ':9464'])(
    'are never on %s: exit 2 with one line',
    bind => {
      const parsed = parse({ COOLD_METRICS_BIND: bind });
      expect(parsed).toMatchObject({ kind: 'exit', code: 2 });
      expect(JSON.stringify(parsed)).toContain('COOLD_METRICS_BIND');
    },
  );

  it('have a port of their own', () => {
    expect(parse({ ...api, COOLD_METRICS_BIND: api.COOLD_API_BIND })).toMatchObject({
      kind: 'exit',
      code: 2,
    });
  });
});

describe('the REST API', () => {
  it('is off unless it has an address', () => {
    expect(parse({})).toMatchObject({ kind: 'run', config: { apiBind: undefined } });
    expect(parse({ ...api, COOLD_TLS_CERT: '/c', COOLD_TLS_KEY: '/k' })).toMatchObject({
      kind: 'run',
      config: {
        apiBind: { host: '100.64.0.1', port: 8443 },
        apiTokenFile: '/etc/coolify/api-token',
        tlsCert: '/c',
        tlsKey: '/k',
      },
    });
  });

  it.each(['0.0.0.0:8443', '[::]:8443', '[0:0::0]:8443', ':8443', '8443', 'eth0:8443'])(
    'is never on %s: exit 2 with one line',
    bind => {
      const parsed = parse({ ...api, COOLD_API_BIND: bind });
      expect(parsed).toMatchObject({ kind: 'exit', code: 2 });
      expect(parsed.kind === 'exit' && parsed.text).toBe(
        `coold: COOLD_API_BIND="${bind}": expected one address of this host and a port such as 100.64.0.5:8443, never 0.0.0.0 or [::]`,
      );
    },
  );

  it.each([
    [{ COOLD_API_BIND: '127.0.0.1:1' }, /^coold: COOLD_API_TOKEN_FILE is not set/],
    [{ ...api, COOLD_TLS_CERT: '/c' }, /^coold: COOLD_TLS_KEY is not set/],
    [{ ...api, COOLD_TLS_KEY: '/k' }, /^coold: COOLD_TLS_CERT is not set/],
  ])('needs a token, and both or none of the certificate pair: %j', (env, text) => {
    expect(parse(env)).toMatchObject({ kind: 'exit', code: 2, text: expect.stringMatching(text) });
  });
});

it('understands the names of coolify init and of newer programs of Coolify', () => {
  expect(
    parse({ COOLD_SCHEDULER_URL: 'http://100.64.0.1:6443', COOLIFY_COOLD_DNS_ZONE: 'other.internal' }),
  ).toMatchObject({
    config: { brokerUrl: { authority: '100.64.0.1:6443', tls: false }, dnsZone: 'other.internal' },
    unknownEnv: [],
  });
  expect(parse({ COOLIFY_COOLD_FLUX_URL: 'https://central:6443' })).toMatchObject({
    config: { brokerUrl: { authority: 'central:6443', tls: true } },
  });
});

describe('discovery', () => {
  it('has the defaults of a host with one namespace', () => {
    expect(parse({})).toMatchObject({
      kind: 'run',
      config: {
        namespaces: [{ name: 'default', network: 'coolify-default-mesh', gateway: '0.0.0.0' }],
        corrosionUrl: 'http://127.0.0.1:8080',
        corrosionTokenFile: undefined,
        reconcileInterval: 2000,
      },
    });
  });

  it.each([
    ['COOLD_RECONCILE_INTERVAL', '50ms'],
    ['COOLD_RECONCILE_INTERVAL', '2'],
    ['COOLD_HOST_TTL', '19s'],
    ['COOLD_HOST_TTL', '25h'],
    ['COOLD_NAMESPACES', 'default'],
    ['COOLD_CORROSION_URL', 'http://127.0.0.1:8080/v1'],
    ['COOLD_CORROSION_URL', 'http://robot:secret@127.0.0.1:8080'],
    ['COOLD_CORROSION_URL', 'ftp://127.0.0.1'],
    ['COOLD_CORROSION_TOKEN_FILE', 'token'],
  ])('ends at %s=%s with one line that names it', (name, value) => {
    expect(parse({ [name]: value })).toMatchObject({
      kind: 'exit',
      code: 2,
      text: expect.stringMatching(`^coold: ${name}="[^\n]*expected [^\n]*$`),
    });
  });
});

describe('the slice for networks of apps', () => {
  const mesh = { COOLD_NAMESPACES: 'default:mesh:10.210.5.1,b:b:0.0.0.0' };
  it.each(['10.211.16.0/20', '10.0.0.0/12', '172.20.0.0/24', '192.168.7.16/28'])('may be %s', pool => {
    expect(parse({ ...mesh, COOLD_NETWORK_POOL: pool })).toMatchObject({ config: { networkPool: pool } });
  });

  it('is none by default', () => {
    expect(parse({})).toMatchObject({ kind: 'run', config: { networkPool: undefined } });
  });

  it.each([
    ['10.211.16.0', /expected an IPv4 network of a private range, of \/8 to \/28/],
    ['10.211.16.1/20', /no host bits/],
    ['10.211.16.0/29', /of \/8 to \/28/],
    ['10.0.0.0/7', /of \/8 to \/28/],
    ['8.8.8.0/24', /of a private range/],
    ['172.0.0.0/8', /of a private range/],
    ['fd00::/64', /an IPv4 network/],
    ['10.210.0.0/16', /expected a network without the gateway 10\.210\.5\.1 of namespace default$/],
    ['100.64.0.0/20', /expected a network without this host's address 100\.64\.0\.1 of COOLD_HOST_MGMT_IP$/],
  ])('is never %s: exit 2 with one line that says why', (pool, why) => {
    const parsed = parse({ ...mesh, COOLD_NETWORK_POOL: pool });
    expect(parsed).toMatchObject({ kind: 'exit', code: 2, text: expect.stringMatching(why) });
    expect(parsed.kind === 'exit' && parsed.text).toMatch(/^coold: COOLD_NETWORK_POOL="[^\n]*$/);
  });
});

describe('DNS', () => {
  it('is of coolify.internal, and asks 1.1.1.1 for the rest', () => {
    expect(parse({})).toMatchObject({
      config: { dnsZone: 'coolify.internal', dnsUpstream: [{ host: '1.1.1.1', port: 53 }] },
    });
    expect(parse({ COOLD_DNS_ZONE: 'Mesh.Test.', COOLD_DNS_UPSTREAM: '127.0.0.53:53' })).toMatchObject({
      config: { dnsZone: 'mesh.test', dnsUpstream: [{ host: '127.0.0.53', port: 53 }] },
    });
  });

  it('may ask several, and those of the host', () => {
    expect(parse({ COOLD_DNS_UPSTREAM: '9.9.9.9:53, resolv.conf,[2620:fe::fe]:53' })).toMatchObject({
      config: {
        dnsUpstream: [{ host: '9.9.9.9', port: 53 }, 'resolv.conf', { host: '2620:fe::fe', port: 53 }],
      },
    });
  });

  it.each([
    [{ COOLD_DNS_ZONE: 'a b' }, 'COOLD_DNS_ZONE="a b": expected a domain name such as coolify.internal'],
    [
      { COOLD_DNS_UPSTREAM: '0.0.0.0:53' },
      'COOLD_DNS_UPSTREAM="0.0.0.0:53": expected one to 8 upstreams, comma-separated, each the address and port of a resolver such as 1.1.1.1:53, or resolv.conf',
    ],
    [
      { COOLD_DNS_UPSTREAM: ',' },
      'COOLD_DNS_UPSTREAM=",": expected one to 8 upstreams, comma-separated, each the address and port of a resolver such as 1.1.1.1:53, or resolv.conf',
    ],
    [
      { COOLD_DNS_UPSTREAM: '1.1.1.1:53,10.210.0.1:53', COOLD_NAMESPACES: 'shop:shop-mesh:10.210.0.1' },
      'COOLD_DNS_UPSTREAM="10.210.0.1:53": expected another resolver than coold\'s own for namespace shop',
    ],
    [
      { COOLD_DNS_UPSTREAM: '10.210.0.1:53', COOLD_NAMESPACES: 'shop:shop-mesh:10.210.0.1' },
      'COOLD_DNS_UPSTREAM="10.210.0.1:53": expected another resolver than coold\'s own for namespace shop',
    ],
  ])('is not of %j', (env, text) => {
    expect(parse(env)).toMatchObject({ kind: 'exit', code: 2, text: `coold: ${text}` });
  });
});

it('never asks itself for other names, where it answers this host', () => {
  const parsed = parse({ COOLD_DNS_UPSTREAM: '127.0.64.53:53' });
  expect(parsed).toMatchObject({ kind: 'exit', code: 2 });
  expect(JSON.stringify(parsed)).toContain("coold's own for this host");
  expect(parse({ COOLD_DNS_HOST_ROUTE: '1' })).toMatchObject({ kind: 'run', config: { dnsHostRoute: true } });
  expect(parse({})).toMatchObject({ kind: 'run', config: { dnsHostRoute: false } });
});
