import { expect, it } from 'vitest';
import { refuseMetricsPlace } from './metrics-place.ts';

const interfaces = { eth0: [{ address: '203.0.113.9' }], wg0: [{ address: '100.64.0.1' }] };

it.each([
  ['127.0.0.1', true],
  ['::1', true],
  ['100.64.0.1', true],
  ['203.0.113.9', false],
  ['100.64.0.2', false],
])('metrics at %s: %s', (host, may) => {
  expect(refuseMetricsPlace(host, () => interfaces) === undefined).toBe(may);
});

it('metrics at the address of a mesh that is down wait', () => {
  expect(refuseMetricsPlace('100.64.0.1', () => ({}))).toContain('100.64.0.1 is not an address of loopback');
});

it('where the interfaces cannot be read, as in a sandbox without netlink, loopback alone is good', () => {
  const blind = () => {
    throw new Error('uv_interface_addresses returned Unknown system error 97');
  };
  expect(refuseMetricsPlace('127.0.0.1', blind)).toBeUndefined();
  expect(refuseMetricsPlace('100.64.0.1', blind)).toMatch(/addresses of wg0 cannot be read.*error 97/);
});
