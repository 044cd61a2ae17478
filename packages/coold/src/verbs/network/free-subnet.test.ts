import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { freeInSlice, freeSubnet } from './free-subnet.ts';
import { collision } from './subnet-claims.ts';

const claim = (network: string) => ({ network, holder: 'somebody' });
const free = (...networks: string[]) => freeSubnet(networks.map(claim));

describe('a free subnet', () => {
  it('is the first subnet of the pools that overlaps with no claim', () => {
    expect(free()).toBe('10.89.0.0/24');
    expect(free('10.89.0.0/24', '192.168.0.0/16')).toBe('10.89.1.0/24');
    expect(free('10.89.0.7/32')).toBe('10.89.1.0/24');
    expect(free('10.89.0.128/25', '10.89.2.0/24')).toBe('10.89.1.0/24');
    // As interfaces have it, with host bits; and wider than a subnet.
    expect(free('10.89.5.1/16')).toBe('10.90.0.0/24');
    expect(free('10.64.0.0/10')).toBe('10.128.0.0/24');
  });

  it('is none when all is claimed, however it is', () => {
    expect(free('10.0.0.0/8')).toBeUndefined();
    expect(free('0.0.0.0/0')).toBeUndefined();
    expect(free('10.0.0.0/9', '10.128.0.0/10', '10.192.0.0/10')).toBeUndefined();
  });

  it('of a slice is its first /24 that overlaps with no claim, or all of a smaller slice', () => {
    const inSlice = (slice: string, ...networks: string[]) => freeInSlice(slice, networks.map(claim));
    expect(inSlice('10.211.16.0/22')).toBe('10.211.16.0/24');
    expect(inSlice('10.211.16.0/22', '10.211.16.9/32', '10.211.18.0/24')).toBe('10.211.17.0/24');
    expect(inSlice('10.211.16.0/22', '10.211.16.0/23')).toBe('10.211.18.0/24');
    expect(inSlice('10.211.16.0/22', '10.211.19.0/24')).toBe('10.211.16.0/24');
    expect(inSlice('10.211.16.0/22', '10.208.0.0/12')).toBeUndefined();
    expect(inSlice('10.211.16.0/24')).toBe('10.211.16.0/24');
    expect(inSlice('10.211.16.128/26', '10.211.16.0/25')).toBe('10.211.16.128/26');
    expect(inSlice('10.211.16.128/26', '10.211.16.190/32')).toBeUndefined();
    expect(inSlice('192.168.255.0/24')).toBe('192.168.255.0/24');
  });

  it('collides with no claim, whatever is claimed', () => {
    const network = fc
      .tuple(fc.integer({ min: 85, max: 255 }), fc.nat(255), fc.nat(255), fc.integer({ min: 9, max: 32 }))
      .map(([b, c, d, length]) => `10.${b}.${c}.${d}/${length}`);
    fc.assert(
      fc.property(fc.array(network, { maxLength: 30 }), networks => {
        const found = free(...networks);
        if (found !== undefined) expect(collision(found, networks.map(claim))).toBeUndefined();
      }),
    );
  });
});
