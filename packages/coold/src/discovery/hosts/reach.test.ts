import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { covers } from '../../firewall/rule/cidr.ts';
import { insideOf, reachOf } from './reach.ts';

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
    expect(reach(address, '100.64.0.9')).toBe(expected);
  });

  it('is nothing without peers, and not what a default route leads to', () => {
    expect(reachOf([])('10.210.2.1', '100.64.0.2')).toBe(false);
    expect(reachOf([peer('0.0.0.0/0')])('10.210.2.1', '100.64.0.2')).toBe(false);
  });

  it('is an address of a host only where its packets go to that host', () => {
    const mesh = reachOf([
      peer('100.64.0.2/32', '10.211.0.0/16'),
      peer('100.64.0.3/32', '10.211.4.0/24'),
      peer('172.16.0.0/24'),
    ]);
    // The longest network wins, as in the kernel.
    expect(mesh('10.211.4.5', '100.64.0.2')).toBe(false);
    expect(mesh('10.211.4.5', '100.64.0.3')).toBe(true);
    expect(mesh('10.211.5.5', '100.64.0.2')).toBe(true);
    expect(mesh('10.211.5.5', '100.64.0.3')).toBe(false);
    // A host that no peer has says nothing of where its addresses are.
    expect(mesh('172.16.0.9', '100.64.0.7')).toBe(true);
  });

  it('is all of the hosts behind one peer', () => {
    const hub = reachOf([peer('100.64.0.0/16', '10.210.0.0/16')]);
    expect(hub('10.210.7.7', '100.64.0.7')).toBe(true);
    expect(hub('10.89.0.5', '100.64.0.7')).toBe(false);
  });

  it('is what one of the networks covers', () => {
    const byte = fc.integer({ min: 0, max: 255 });
    const network = fc
      .tuple(byte, byte, fc.integer({ min: 8, max: 32 }))
      .map(([a, b, length]) => `10.${a}.${b}.0/${Math.min(length, 24)}`);
    fc.assert(
      fc.property(fc.array(network, { maxLength: 12 }), byte, byte, byte, (networks, a, b, c) => {
        const address = `10.${a}.${b}.${c}`;
        const isCovered = networks.some(one => covers(one, `${address}/32`));
        expect(reachOf([peer(...networks)])(address, '100.64.0.2')).toBe(isCovered);
        expect(insideOf([...networks, 'fd00::/64'])(address)).toBe(isCovered);
      }),
    );
  });
});
