import { expect, it } from 'vitest';
import { meshNetworks, networkDns } from './network-dns.ts';

const network = (name: string, namespace = '') => ({
  name,
  driver: 'bridge',
  subnets: [{ subnet: '10.9.0.0/24', gateway: '10.9.0.1' }],
  labels: namespace === '' ? {} : { 'coolify.namespace': namespace },
});
const networks = [
  network('shop-mesh'),
  network('shop-app', 'shop'),
  network('blog-app', 'blog'),
  network('mute-mesh'),
  network('mute-app', 'mute'),
  network('stray', 'elsewhere'),
  network('plain'),
];
const mesh = {
  zone: 'mesh.test',
  namespaces: [
    { name: 'shop', network: 'shop-mesh', gateway: '10.1.0.1' },
    { name: 'blog', network: 'blog-mesh', gateway: '10.2.0.1' },
    { name: 'mute', network: 'mute-mesh', gateway: '0.0.0.0' },
  ],
};

it('is the own gateway of each network, with the domain of its namespace before the zone', () => {
  const search = ['shop.mesh.test', 'mesh.test'];
  expect(networkDns(['shop-mesh'], networks, mesh)).toEqual({ servers: ['10.1.0.1'], search });
  expect(networkDns(['shop-app'], networks, mesh)).toEqual({ servers: ['10.9.0.1'], search });
  expect(networkDns(['shop-mesh', 'plain', 'shop-app'], networks, mesh)).toEqual({
    servers: ['10.1.0.1', '10.9.0.1'],
    search,
  });
});

it('is the gateways of several namespaces in the order of the networks', () => {
  expect(networkDns(['blog-mesh', 'shop-mesh'], networks, mesh)).toEqual({
    servers: ['10.2.0.1', '10.1.0.1'],
    search: ['blog.mesh.test', 'shop.mesh.test', 'mesh.test'],
  });
});

it('is none where nobody answers', () => {
  for (const names of [[], ['plain'], ['mute-mesh'], ['mute-app'], ['stray'], ['nosuch']])
    expect(networkDns(names, networks, mesh)).toBeUndefined();
});

it('lists the networks of the mesh, too: those of namespaces, and those in mesh.env', () => {
  const of = (name: string, subnet: string, namespace = '') => ({
    ...network(name, namespace),
    subnets: [{ subnet, gateway: '' }],
  });
  const all = [
    of('shop-mesh', '10.1.0.0/24'),
    of('stray', '10.7.0.0/24', 'gone'),
    of('plain', '10.8.0.0/24'),
  ];
  expect(meshNetworks(all, mesh.namespaces, { kind: 'none' })).toEqual(['10.1.0.0/24', '10.7.0.0/24']);
  const scaffold = { subnets: ['10.1.0.0/24'], pools: ['10.0.0.0/14'] };
  expect(meshNetworks([], mesh.namespaces, { kind: 'named', scaffold })).toEqual([
    '10.1.0.0/24',
    '10.0.0.0/14',
  ]);
});
