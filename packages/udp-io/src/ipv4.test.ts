import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ipv4Number, ipv4Text } from './ipv4.ts';

it('an address is the number that its bytes make, and back', () => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), number => {
      const bytes = [24, 16, 8, 0].map(shift => (number >>> shift) & 255);
      expect(ipv4Number(bytes.join('.'))).toBe(number);
      expect(ipv4Text(number)).toBe(bytes.join('.'));
    }),
  );
});

it.each(['', '::1', '::ffff:10.0.0.1', '10.0.0', '10.0.0.256', 'localhost'])('%j is none', text => {
  expect(ipv4Number(text)).toBe(0);
});
