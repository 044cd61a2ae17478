import { expect, test } from 'vitest';
import type { DesiredScaffold } from './desired-scaffold.ts';
import {
  deniedButNotNamed,
  type OwnSettings,
  scaffoldDifferences,
  strayAddresses,
} from './scaffold-differences.ts';

const desired: DesiredScaffold & { kind: 'named' } = {
  kind: 'named',
  scaffold: {
    subnets: ['10.210.0.0/24'],
    pools: ['10.210.0.0/16'],
    mgmtNetworks: ['100.64.0.0/16'],
    apiPorts: [8443],
    wgInterface: 'wg0',
    chainName: 'COOLIFY-ALLOW',
    joinedPath: '/etc/coolify/joined.subnets',
  },
};
const own: OwnSettings = {
  hostMgmtIp: '100.64.0.1',
  chainName: 'COOLIFY-ALLOW',
  rulesPath: '/etc/coolify/allow.rules',
  namespaces: [{ name: 'default', network: 'coolify-default-mesh', gateway: '10.210.0.1' }],
  networkPool: '10.210.128.0/20',
  otherPools: [{ hostMgmtIp: '100.64.0.2', pool: '10.210.144.0/20' }],
};

test('two files that say the same differ in nothing, and a permissive host has but one', () => {
  expect(scaffoldDifferences(desired, own, [])).toEqual({ useless: undefined, all: [] });
  expect(scaffoldDifferences({ kind: 'none' }, { ...own, chainName: 'OTHER' }, []).all).toEqual([]);
});

test('another chain makes allow rules useless', () => {
  const { useless, all } = scaffoldDifferences(desired, { ...own, chainName: 'OTHER' }, []);
  expect(useless).toMatch(/^COOLD_CHAIN_NAME is OTHER and .* is COOLIFY-ALLOW: an allow rule opens nothing/);
  expect(all).toEqual([useless]);
});

const alpha = { name: 'alpha', network: 'coolify-alpha-mesh', gateway: '10.210.16.1' };
test.each<[Partial<OwnSettings>, RegExp]>([
  [
    { namespaces: [...own.namespaces, alpha] },
    /^network coolify-alpha-mesh of namespace alpha .*10\.210\.16\.1/,
  ],
  [{ hostMgmtIp: '100.65.0.1' }, /^COOLD_HOST_MGMT_IP 100\.65\.0\.1 is in none/],
  [
    { networkPool: '10.211.0.0/20' },
    /^COOLD_NETWORK_POOL 10\.211\.0\.0\/20 is in none of COOLD_SCAFFOLD_POOLS/,
  ],
  [
    { networkPool: '10.210.0.128/25' },
    /^COOLD_NETWORK_POOL .* overlaps with 10\.210\.0\.0\/24 of COOLD_SCAFFOLD_SUBNETS/,
  ],
  [
    { otherPools: [{ hostMgmtIp: '100.64.0.2', pool: '10.211.0.0/20' }] },
    /^COOLD_NETWORK_POOL 10\.211\.0\.0\/20 of host 100\.64\.0\.2 is in none/,
  ],
  [{ rulesPath: '/var/lib/coolify/allow.rules' }, /^coold keeps joined subnets in \/var\/lib\/coolify\//],
])('%j is named', (change, line) => {
  const { useless, all } = scaffoldDifferences(desired, { ...own, ...change }, []);
  expect([useless, all]).toEqual([undefined, [expect.stringMatching(line)]]);
});

test('a slice may be named among the subnets, and none lies where hosts are', () => {
  const scaffold = { ...desired.scaffold, pools: ['10.210.0.0/16', '100.64.128.0/20'] };
  const named = { ...desired, scaffold: { ...scaffold, subnets: ['10.210.0.0/24', '10.210.128.0/20'] } };
  expect(scaffoldDifferences(named, own, []).all).toEqual([]);
  expect(
    scaffoldDifferences({ ...desired, scaffold }, { ...own, networkPool: '100.64.128.0/20' }, []).all,
  ).toEqual([
    expect.stringMatching(
      /^COOLD_NETWORK_POOL .* overlaps with 100\.64\.0\.0\/16 of COOLD_SCAFFOLD_MGMT_NETWORKS/,
    ),
  ]);
});

test('a network that joined is known, and a gateway that is not known is not judged', () => {
  const namespaces = [...own.namespaces, alpha, { name: 'b', network: 'b', gateway: '0.0.0.0' }];
  expect(scaffoldDifferences(desired, { ...own, namespaces }, ['10.210.16.0/24']).all).toEqual([]);
});

test('a pool that holds the uplink’s own address is named before its neighbours are missed', () => {
  const { scaffold } = desired;
  const addresses = [
    { interface: 'eth0', address: '192.0.2.1' },
    { interface: 'eth1', address: '10.210.77.5' },
    { interface: 'podman1', address: '10.210.0.1' },
    { interface: 'wg0', address: '10.210.255.1' },
  ];
  expect(strayAddresses(scaffold, ['podman1'], addresses)).toEqual([
    expect.stringMatching(/^10\.210\.77\.5 of eth1 lies in COOLD_SCAFFOLD_POOLS/),
  ]);
});

test('what is denied and not named any more is named', () => {
  expect(deniedButNotNamed({ kind: 'in place' })).toEqual([]);
  expect(deniedButNotNamed({ kind: 'in place', beyond: ['10.210.6.0/24'] })).toEqual([
    expect.stringMatching(/^10\.210\.6\.0\/24 is denied and mesh\.env does not name it any more: .*restart/),
  ]);
});
