import { expect, test } from 'vitest';
import { readNftEvent } from '../monitor/nft-event.ts';
import { more, touchedBy } from './touched.ts';

const names = ['COOLIFY-ALLOW', 'coolify_bridge', 'coolify_guard'];

test.each([
  ['# new generation 29 by process 20706 (nft)', undefined],
  ['insert rule ip filter FORWARD counter packets 0 bytes 0 accept # handle 10', 'iptables'],
  ['add rule ip filter COOLIFY-ALLOW counter packets 0 bytes 0 drop # handle 10', 'iptables'],
  ['delete rule inet coolify_guard forward handle 10', 'chains'],
  ['delete element inet coolify_guard mesh_pools { 10.210.0.0/16 }', 'chains'],
  ['add chain bridge coolify_bridge forward { type filter hook forward priority 0; policy drop; }', 'chains'],
  ['delete chain bridge coolify_bridge forward', 'chains'],
  ['add table bridge coolify_bridge { flags dormant; } # handle 1', 'tables'],
  ['delete table inet coolify_guard # handle 3', 'tables'],
  ['# ERROR: We lost some netlink events!', 'tables'],
])('%s', (line, touched) => {
  const event = readNftEvent(line, names, ['FORWARD']);
  expect(event === undefined ? undefined : touchedBy(event)).toBe(touched);
});

test('of two, the one that touches more counts', () => {
  expect(more('iptables', 'chains')).toBe('chains');
  expect(more('tables', 'chains')).toBe('tables');
});
