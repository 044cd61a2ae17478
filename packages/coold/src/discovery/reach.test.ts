import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { covers } from '../firewall/cidr.ts';
import { reachOf } from './reach.ts';

const peer = (...allowedIps: string[]) => ({ allowedIps });

describe('what WireGuard leads to', () => {
  const reach = reachOf([peer('100.64.0.2/32', '10.210.2.0/24'), peer('fd00::/64'), peer('10.210.3.0/24')]);

  it.each([
    ['100.64.0.2', true],
    ['100.64.0.3', false],
    ['10.210.2.0', true],
    ['10.210.2.255', true],
    ['10.210.3.7', true],
    ['10.210.4.0', false],
    ['10.210.1.255', false],
    ['nonsense', false],
  ])('%s: %s', (address, expected) => {
    expect(reach(address)).toBe(expected);
  });

  it('is nothing without peers, and not what a default route leads to', () => {
    expect(reachOf([])('10.210.2.1')).toBe(false);
    expect(reachOf([peer('0.0.0.0/0')])('10.210.2.1')).toBe(false);
  });

  it('is what one of the networks covers', () => {
    const byte = fc.integer({ min: 0, max: 255 });
    const network = fc
      .tuple(byte, byte, fc.integer({ min: 8, max: 32 }))
      .map(([a, b, length]) => `10.${a}.${b}.0/${Math.min(length, 24)}`);
    fc.assert(
      fc.property(fc.array(network, { maxLength: 12 }), byte, byte, byte, (networks, a, b, c) => {
        const address = `10.${a}.${b}.${c}`;
        expect(reachOf([peer(...networks)])(address)).toBe(
          networks.some(one => covers(one, `${address}/32`)),
        );
      }),
    );
  });
});
