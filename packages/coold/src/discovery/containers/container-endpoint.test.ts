import { describe, expect, it } from 'vitest';
import { containerEndpoint, maxAliases, networkNamespaces } from './container-endpoint.ts';

const configured = [
  { name: 'default', network: 'z-mesh', gateway: '10.210.0.1' },
  { name: 'alpha', network: 'a-mesh', gateway: '10.210.1.1' },
];
const network = (name: string, labels: Record<string, string> = {}) => ({
  name,
  driver: 'bridge',
  subnets: [],
  labels,
});
const namespaces = networkNamespaces(
  configured,
  [
    network('podman'),
    network('shop-2', { label: 'shop' }),
    network('a-mesh', { label: 'other' }),
    network('app', { label: 'alpha', more: 'x' }),
    network('plain', { label: '' }),
  ],
  'label',
);
const facts = (networks: Record<string, string>, aliases: Record<string, string[]> = {}) => ({
  id: 'c1',
  name: 'web',
  state: 'running',
  health: 'unknown',
  networks: new Map(Object.entries(networks)),
  aliases: new Map(Object.entries(aliases)),
});

describe('the namespaces of networks', () => {
  it('are those of the configuration in its order, then those that were given with a network', () => {
    expect([...namespaces]).toEqual([
      ['z-mesh', 'default'],
      ['a-mesh', 'alpha'],
      ['app', 'alpha'],
      ['shop-2', 'shop'],
    ]);
  });
});

describe('a container', () => {
  it('on no managed network has no row', () => {
    expect(containerEndpoint(facts({}), namespaces, '100.64.0.1')).toBeUndefined();
    expect(containerEndpoint(facts({ podman: '10.88.0.2' }), namespaces, '100.64.0.1')).toBeUndefined();
  });

  it('has its address on its network', () => {
    const networks = { podman: '10.88.0.2', app: '10.211.0.2' };
    expect(containerEndpoint(facts(networks), namespaces, '100.64.0.1')).toEqual({
      row: {
        containerId: 'c1',
        name: 'web',
        namespace: 'alpha',
        hostMgmtIp: '100.64.0.1',
        address: '10.211.0.2',
        state: 'running',
        health: 'unknown',
      },
      others: [],
      aliases: [],
    });
  });

  it('on several belongs to the first of the configuration', () => {
    const networks = { 'shop-2': '10.3.0.2', 'a-mesh': '10.2.0.2', 'z-mesh': '' };
    expect(containerEndpoint(facts(networks), namespaces, '100.64.0.1')).toMatchObject({
      row: { namespace: 'default', address: '' },
      others: ['a-mesh', 'shop-2'],
    });
  });

  it('has the aliases that it was given on the first of its networks, each once, as far as they can be names', () => {
    const given = { 'z-mesh': ['www', 'API', 'api', 'WEB', 'a.b', ''], 'a-mesh': ['other'], podman: ['x'] };
    const found = containerEndpoint(
      facts({ 'a-mesh': '10.210.1.5', 'z-mesh': '10.210.0.5', podman: '10.88.0.2' }, given),
      namespaces,
      '100.64.0.1',
    );
    expect(found?.aliases).toEqual(['api', 'www']);
    expect(found?.row.namespace).toBe('default');
  });

  it('has no more aliases than anybody remembers', () => {
    const many = Array.from({ length: 500 }, (_, index) => `a${index}`);
    const found = containerEndpoint(facts({ 'z-mesh': '' }, { 'z-mesh': many }), namespaces, '100.64.0.1');
    expect(found?.aliases).toHaveLength(maxAliases);
  });
});
