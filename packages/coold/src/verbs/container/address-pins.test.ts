import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { covers } from '../../firewall/rule/cidr.ts';
import type { AddressHolder } from '../../podman/address-holders.ts';
import { isPinLabel, pinLabel } from '../../podman/pinned-address.ts';
import { heldAddresses, lowestFree } from './address-pins.ts';

const free = (taken: Iterable<string>) => {
  const set = new Set(taken);
  return (address: string) => !set.has(address);
};
const network = { subnet: '10.210.5.0/24', gateway: '10.210.5.1' };

describe('the lowest free address', () => {
  it.each([
    [[], '10.210.5.3'],
    [['10.210.5.3', '10.210.5.4', '10.210.5.6'], '10.210.5.5'],
  ])('beside %j is %s: never .1 or .2', (taken, expected) => {
    expect(lowestFree(network, free(taken))).toBe(expected);
  });

  it('is never the gateway, wherever it lies', () => {
    expect(lowestFree({ subnet: '10.210.5.0/24', gateway: '10.210.5.3' }, free([]))).toBe('10.210.5.4');
  });

  it.each(['10.0.0.0/30', '10.0.0.4/30'])('does not exist in %s', subnet => {
    expect(lowestFree({ subnet, gateway: '' }, free([]))).toBeUndefined();
  });

  it('lies in its network, is free, and there is one until all are taken', () => {
    fc.assert(
      fc.property(fc.integer({ min: 24, max: 29 }), fc.integer({ min: 0, max: 260 }), (length, count) => {
        const subnet = `172.20.8.0/${length}`;
        const room = 2 ** (32 - length) - 4;
        const taken = new Set<string>();
        for (let n = 0; n < count; n += 1) {
          const address = lowestFree({ subnet, gateway: '172.20.8.1' }, free(taken));
          expect(address === undefined).toBe(n >= room);
          if (address === undefined) return;
          expect(taken.has(address)).toBe(false);
          expect(covers(subnet, `${address}/32`)).toBe(true);
          taken.add(address);
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe('held addresses', () => {
  const holder = (labels: Record<string, string>, networks: [string, string][]): AddressHolder => ({
    labels,
    networks: new Map(networks),
  });

  it('are those of running containers and those that stopped ones carry', () => {
    expect(
      heldAddresses(
        [
          holder({}, [['shop', '10.210.5.7']]),
          holder({ [pinLabel('shop')]: '10.210.5.8' }, [['shop', '']]),
          holder({ [pinLabel('shop')]: '10.210.5.9' }, [['other', '10.9.0.3']]),
        ],
        'shop',
      ),
    ).toEqual(new Set(['10.210.5.7', '10.210.5.8']));
  });

  it('have labels of their own', () => {
    expect(isPinLabel(pinLabel('shop'))).toBe(true);
    expect(isPinLabel('io.coolify.namespace')).toBe(false);
  });
});
