import { expect, it } from 'vitest';
import { createHostAddresses } from './host-addresses.ts';

it('returns the link address of the interface with an address, and reads all at most five times a second', () => {
  let [now, reads, mac] = [0, 0, '02:00:00:00:00:01'];
  const bridge = () => ({
    address: '10.210.0.1',
    netmask: '255.255.255.0',
    cidr: '10.210.0.1/24',
    family: 'IPv4' as const,
    internal: false,
    mac,
  });
  const linkOf = createHostAddresses(
    () => {
      reads += 1;
      return { bridge: [bridge()], gone: undefined };
    },
    () => now,
  );
  expect([linkOf('10.210.0.1'), linkOf('10.211.0.1')]).toEqual([mac, undefined]);
  mac = '02:00:00:00:00:02';
  for (; now < 200; now += 50) expect(linkOf('10.210.0.1')).toBe('02:00:00:00:00:01');
  expect(reads).toBe(1);
  expect([linkOf('10.210.0.1'), reads]).toEqual([mac, 2]);
});

it('knows the whole loopback network as the loopback interface', () => {
  const linkOf = createHostAddresses();
  expect([linkOf('127.0.0.1'), linkOf('127.3.2.1')]).toEqual(['00:00:00:00:00:00', '00:00:00:00:00:00']);
});
