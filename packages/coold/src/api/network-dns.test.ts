import { expect, it } from 'vitest';
import { networkDns } from './network-dns.ts';

const network = (name: string, namespace: string, ...gateways: string[]) => ({
  name,
  driver: 'bridge',
  subnets: gateways.map(gateway => ({ subnet: '', gateway })),
  labels: namespace === '' ? {} : { 'coolify.namespace': namespace },
});
const networks = [
  network('a', 'shop', '10.1.0.1', 'fd00::1'),
  network('b', 'blog', '10.2.0.1'),
  network('mute', 'shop', '0.0.0.0'),
  network('plain', '', '10.3.0.1'),
];

it('is the gateways of networks with a namespace, and the zone', () => {
  const search = ['coolify.internal'];
  expect(networkDns(['a'], networks)).toEqual({ servers: ['10.1.0.1'], search });
  expect(networkDns(['b', 'plain', 'a'], networks)).toEqual({ servers: ['10.1.0.1', '10.2.0.1'], search });
});

it('is none elsewhere', () => {
  for (const names of [[], ['plain'], ['mute'], ['nosuch']])
    expect(networkDns(names, networks)).toBeUndefined();
});
