import { describe, expect, it } from 'vitest';
import { collision, hostClaims, readRoutes } from './subnet-claims.ts';

const forever = new AbortController().signal;

describe('a subnet', () => {
  const claims = [
    { network: '10.1.0.0/16', holder: 'network a' },
    { network: '100.64.0.5/16', holder: 'interface wg0' },
    { network: '10.9.9.9/32', holder: 'a route' },
  ];
  it.each([
    ['10.1.2.0/24', 'network a'],
    ['10.0.0.0/8', 'network a'],
    ['10.1.0.0/16', 'network a'],
    ['100.64.7.0/24', 'interface wg0'],
    ['10.9.9.8/30', 'a route'],
  ])('%s collides with %s', (subnet, holder) => {
    expect(collision(subnet, claims)).toMatchObject({ holder });
  });

  it.each(['10.2.0.0/16', '100.65.0.0/16', '10.9.9.12/30', '192.168.0.0/24'])('%s is free', subnet => {
    expect(collision(subnet, claims)).toBeUndefined();
  });
});

describe('the routes of a host', () => {
  it('claim what they lead to, but for the default', () => {
    const json = JSON.stringify([
      { dst: 'default', gateway: '192.0.2.1', dev: 'eth0' },
      { dst: '10.210.6.0/24', dev: 'wg0', scope: 'link' },
      { dst: '10.9.9.9', gateway: '192.0.2.1' },
      { type: 'unreachable', dst: '10.211.0.0/16', dev: 'lo' },
    ]);
    expect(readRoutes(json)).toEqual([
      { network: '10.210.6.0/24', holder: 'a route through wg0', kind: 'route' },
      { network: '10.9.9.9/32', holder: 'a route', kind: 'route' },
    ]);
    expect(readRoutes('')).toEqual([]);
  });

  it.each(['{}', '[1]', '[{"dst":5}]', 'nonsense'])('that are not understood are an error: %s', json => {
    expect(() => readRoutes(json)).toThrow();
  });

  it('and its interfaces are read from the host', async () => {
    const claims = await hostClaims(forever);
    expect(claims).toContainEqual({ network: '127.0.0.1/8', holder: 'interface lo' });
  });
});
