import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cidr, covers, outermost, without } from './cidr.ts';

test.each([
  '10.210.0.0/16',
  '10.210.5.0/24',
  '100.64.0.0/10',
  '10.0.0.0/8',
  '192.0.2.1/32',
  '255.255.255.254/31',
])('%s is a network', text => expect(cidr.parse(text)).toBe(text));

test.each([
  '',
  '10.210.0.0',
  '10.210.0.1/24',
  '10.210.0.0/33',
  '10.210.0.0/024',
  '10.210.0.0/-1',
  '0.0.0.0/0',
  '10.0.0.0/7',
  '010.210.0.0/16',
  '10.210.0.0/16/16',
  '10.210.0.0/16 ',
  '10.210.0.0/16; drop',
  'fd00::/64',
  '10.210/16',
])('%s is not a network in canonical form', text => expect(cidr.parse(text)).toBeUndefined());

const network = fc
  .tuple(fc.nat({ max: 0xffffffff }), fc.integer({ min: 8, max: 32 }))
  .map(([address, length]) => {
    const bits = (address & (-1 << (32 - length))) >>> 0;
    return `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}/${length}`;
  });

test('whatever is built as a network reads as one', () => {
  fc.assert(fc.property(network, text => cidr.parse(text) === text));
});

test('a network covers itself and what is in it, and nothing else', () => {
  expect(covers('10.210.0.0/16', '10.210.255.0/24')).toBe(true);
  expect(covers('10.210.0.0/16', '10.211.0.0/24')).toBe(false);
  expect(covers('10.210.5.0/24', '10.210.0.0/16')).toBe(false);
  expect(covers('192.0.0.0/8', '192.168.0.0/16')).toBe(true);
  fc.assert(fc.property(network, text => covers(text, text)));
});

test('the outermost networks cover all given, none covers another, and they are sorted', () => {
  expect(outermost(['192.168.0.0/24', '10.210.1.0/24', '10.210.0.0/16', '10.210.1.0/24'])).toEqual([
    '10.210.0.0/16',
    '192.168.0.0/24',
  ]);
  fc.assert(
    fc.property(fc.array(network, { maxLength: 12 }), all => {
      const kept = outermost(all);
      expect(all.every(one => kept.some(outer => covers(outer, one)))).toBe(true);
      expect(kept.every(one => kept.every(other => other === one || !covers(other, one)))).toBe(true);
      expect(outermost([...all].reverse())).toEqual(kept);
    }),
  );
});

test('the rest of a network without others covers none of them, and together with them all of it', () => {
  expect(without('10.210.0.0/22', ['10.210.1.0/24'])).toEqual(['10.210.0.0/24', '10.210.2.0/23']);
  expect(without('10.210.0.0/24', ['10.210.0.0/16'])).toEqual([]);
  expect(without('192.168.0.0/24', ['10.210.0.0/16'])).toEqual(['192.168.0.0/24']);
  fc.assert(
    fc.property(network, fc.array(network, { maxLength: 4 }), (whole, others) => {
      const left = without(whole, others);
      const size = (networks: string[]) =>
        networks.reduce((sum, one) => sum + 2 ** (32 - Number(one.split('/')[1])), 0);
      const taken = outermost(others.filter(other => covers(whole, other)));
      const isTaken = others.some(other => covers(other, whole));
      expect(size(left)).toBe(isTaken ? 0 : size([whole]) - size(taken));
      expect(left.every(one => covers(whole, one) && !others.some(other => covers(other, one)))).toBe(true);
    }),
  );
});
