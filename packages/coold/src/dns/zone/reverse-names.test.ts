import { describe, expect, it } from 'vitest';
import { wireName } from './names.ts';
import { readReverseName, reverseZoneOf } from './reverse-names.ts';

const read = (name: string) => readReverseName(wireName(name));

describe('a reverse name', () => {
  it.each([
    ['5.0.210.10.in-addr.arpa', '10.210.0.5', false],
    ['1.31.16.172.in-addr.arpa', '172.16.31.1', false],
    ['255.255.31.172.in-addr.arpa', '172.31.255.255', false],
    ['9.0.168.192.in-addr.arpa', '192.168.0.9', false],
    ['1.0.64.100.in-addr.arpa', '100.64.0.1', false],
    ['_dns-sd._udp.0.0.210.10.in-addr.arpa', '10.210.0.0', true],
  ])('%s is of %s, below it: %s', (name, address, isBelow) =>
    expect(read(name)).toEqual({ address, isBelow }),
  );

  it.each([
    '8.8.8.8.in-addr.arpa',
    '1.0.32.172.in-addr.arpa',
    '1.0.128.100.in-addr.arpa',
    '0.210.10.in-addr.arpa',
    '05.0.210.10.in-addr.arpa',
    '256.0.210.10.in-addr.arpa',
    'x.0.210.10.in-addr.arpa',
    'in-addr.arpa',
    '5.0.210.10.in-addr.arpa.example',
    '5.0.210.10.xin-addr.arpa',
    'example.com',
  ])('%s is of no private address', name => expect(read(name)).toBeUndefined());

  it('is not read out of the inside of a label, which may hold any bytes', () => {
    const hidden = `${String.fromCharCode(4)}xx${String.fromCharCode(1)}5${wireName('0.210.10.in-addr.arpa')}`;
    expect(readReverseName(hidden)).toBeUndefined();
  });

  it('is in the zone of its /24', () => {
    for (const name of ['5.0.210.10.in-addr.arpa', '_udp.5.0.210.10.in-addr.arpa'])
      expect(reverseZoneOf(wireName(name))).toBe(wireName('0.210.10.in-addr.arpa'));
  });
});
