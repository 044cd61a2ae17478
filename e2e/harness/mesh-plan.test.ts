import { expect, test } from 'vitest';
import { planMesh } from './mesh-plan.ts';

test('every host has an address, and every namespace has its own /24 on every host', () => {
  const { hosts } = planMesh(['a', 'b'], ['default', 'alpha']);
  expect(hosts).toEqual([
    {
      name: 'a',
      mgmtIp: '100.64.0.1',
      namespaces: {
        default: { network: 'coolify-default-mesh', subnet: '10.210.0.0/24', gateway: '10.210.0.1' },
        alpha: { network: 'coolify-alpha-mesh', subnet: '10.210.16.0/24', gateway: '10.210.16.1' },
      },
    },
    {
      name: 'b',
      mgmtIp: '100.64.0.2',
      namespaces: {
        default: { network: 'coolify-default-mesh', subnet: '10.210.1.0/24', gateway: '10.210.1.1' },
        alpha: { network: 'coolify-alpha-mesh', subnet: '10.210.17.0/24', gateway: '10.210.17.1' },
      },
    },
  ]);
});

test('no two subnets of the largest mesh are equal', () => {
  const names = (prefix: string) => Array.from({ length: 16 }, (_, n) => `${prefix}${n}`);
  const { hosts } = planMesh(names('h'), names('n'));
  const subnets = hosts.flatMap(host => Object.values(host.namespaces).map(({ subnet }) => subnet));
  expect(new Set(subnets).size).toBe(256);
});

test('refuses a mesh that does not fit its pools, or a namespace that is not a label', () => {
  expect(() =>
    planMesh(
      Array.from({ length: 17 }, (_, n) => `h${n}`),
      ['x'],
    ),
  ).toThrow('more than 16 hosts');
  expect(() =>
    planMesh(
      ['a'],
      Array.from({ length: 17 }, (_, n) => `n${n}`),
    ),
  ).toThrow('more than 16 namespaces');
  expect(() => planMesh(['a'], ['../x'])).toThrow('DNS label');
});
