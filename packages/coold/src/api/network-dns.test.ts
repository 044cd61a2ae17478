import { expect, it } from 'vitest';
import { networkDns } from './network-dns.ts';

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
const search = ['mesh.test'];

it("is the gateway of the namespace, on its own network and on those made for it, and the mesh's zone", () => {
  for (const name of ['shop-mesh', 'shop-app'])
    expect(networkDns([name], networks, mesh)).toEqual({ servers: ['10.1.0.1'], search });
  expect(networkDns(['shop-mesh', 'plain', 'shop-app'], networks, mesh)).toEqual({
    servers: ['10.1.0.1'],
    search,
  });
});

it('is the gateways of all namespaces, in the order of the configuration', () => {
  expect(networkDns(['blog-app', 'shop-app'], networks, mesh)).toEqual({
    servers: ['10.1.0.1', '10.2.0.1'],
    search,
  });
});

it('is none where nobody answers', () => {
  for (const names of [[], ['plain'], ['mute-mesh'], ['stray'], ['nosuch']])
    expect(networkDns(names, networks, mesh)).toBeUndefined();
});
