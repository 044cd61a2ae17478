import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { freeSubnet } from './free-subnet.ts';
import { collision } from './subnet-claims.ts';

const claim = (network: string) => ({ network, holder: 'somebody' });
const free = (...networks: string[]) => freeSubnet(networks.map(claim));

describe('a free subnet', () => {
  it('is the first of the pools that nobody claims any of', () => {
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
