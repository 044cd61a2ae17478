import { expect, test } from 'vitest';
import { localElements, renderGuard } from './guard.ts';
import type { Scaffold } from './scaffold.ts';

const scaffold: Scaffold = {
  subnets: ['10.210.1.0/24', '10.210.0.0/24'],
  pools: ['10.210.0.0/16'],
  joined: [],
  mgmtNetworks: ['100.64.0.0/16'],
  apiPorts: [8443],
  wgInterface: 'wg0',
  chainName: 'COOLIFY-ALLOW',
};

test('what the allow rules and coold itself keep in it is made and never emptied', () => {
  const text = renderGuard(scaffold, ['podman0']);
  for (const set of ['allowed_hosts', 'allowed_protocols', 'allowed_ports', 'api_sockets', 'api_clients']) {
    expect(text).toContain(`add set inet coolify_guard ${set} {`);
    expect(text).not.toMatch(new RegExp(`^(flush|delete|add element) .*${set}`, 'm'));
  }
  expect(text).not.toMatch(/^(flush|delete) table/m);
});

test('joined subnets are told from the configured ones, and none overlaps another', () => {
  expect(localElements(['10.210.1.0/24', '10.210.0.0/24'], ['10.99.0.0/24', '10.210.0.128/25'])).toEqual([
    '10.99.0.0/24 comment "joined"',
    '10.210.0.0/24',
    '10.210.1.0/24',
  ]);
  expect(localElements(['10.210.0.0/24'], ['10.210.0.0/22', '10.210.0.0/24'])).toEqual([
    ...['10.210.0.0/24', '10.210.1.0/24 comment "joined"', '10.210.2.0/23 comment "joined"'],
  ]);
});

test('a mesh without a network of its hosts has an empty set of them', () => {
  expect(renderGuard({ ...scaffold, mgmtNetworks: [] }, [])).not.toContain(
    'add element inet coolify_guard mesh_hosts',
  );
});
