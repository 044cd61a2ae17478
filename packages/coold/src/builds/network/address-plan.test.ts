import { expect, it } from 'vitest';
import { addressRange, ipv4Network, planAddresses } from './address-plan.ts';

it('gives every slot an address of its own between the gateway and the end of the range', () => {
  const plan = planAddresses('240.0.0.0/24');
  expect(plan).toMatchObject({ gateway: '240.0.0.1', slots: { first: 2, last: 254 } });
  expect([2, 9, 254].map(plan.addressOf)).toEqual(['240.0.0.2', '240.0.0.9', '240.0.0.254']);
  const wide = planAddresses('10.250.0.0/16');
  expect(wide.addressOf(wide.slots.last)).toBe('10.250.255.254');
});

it.each(['240.0.0.0/24', '10.0.0.0/16', '10.1.2.0/23'])('a range may be %s', text => {
  expect(addressRange.parse(text)).toBe(text);
});

it.each(['240.0.0.0/25', '10.0.0.0/15', '240.0.0.1/24', '240.0.0.0', 'fd00::/16', '300.0.0.0/24', ''])(
  'a range is not %j',
  text => {
    expect(addressRange.parse(text)).toBeUndefined();
    expect(() => planAddresses(text)).toThrow('expected an IPv4 network');
  },
);

it.each(['0.0.0.0/0', '10.0.0.0/8', '192.168.7.9/32', '198.18.0.0/15'])('a network may be %s', text => {
  expect(ipv4Network.parse(text)).toBe(text);
});

it.each([
  '10.0.0.5',
  '10.0.0.5/8',
  '010.0.0.0/8',
  '10.0.0.0/33',
  '10.0.0.0/08',
  'fd00::/8',
  '1.2.3/24',
  '/8',
])('a network is not %j, which the kernel and nft may each read in their own way', text => {
  expect(ipv4Network.parse(text)).toBeUndefined();
});
