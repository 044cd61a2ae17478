import { expect, test } from 'vitest';
import type { KernelView } from '../netlink/kernel-view.ts';
import {
  attribute,
  handleAttribute,
  headOf,
  type NetlinkMessage,
  nestedAttribute,
  textAttribute,
} from '../netlink/netlink.ts';
import type { NetlinkSocket } from '../netlink/netlink-socket.ts';
import { addressBytes } from '../rule/cidr.ts';
import { createGuardCounters } from './guard-counters.ts';

// What the real kernel says is in ../keep/kept-by-kernel.long.test.ts; here is what it seldom does.

/** An element of a set, as the kernel lists it. */
function element(address: string, packets: number): Buffer {
  const counter = [textAttribute(1, 'counter'), nestedAttribute(2, handleAttribute(2, packets))];
  return nestedAttribute(
    1,
    nestedAttribute(1, attribute(1, addressBytes(address))),
    nestedAttribute(7, ...counter),
  );
}

/** A kernel whose sets all have two elements. */
function counters(interrupted: boolean) {
  const listed = nestedAttribute(3, element('10.210.0.1', 5), element('10.210.1.1', 7));
  const message: NetlinkMessage = {
    type: 0,
    flags: 0,
    sequence: 0,
    body: Buffer.concat([headOf(1), listed]),
  };
  const socket: NetlinkSocket = {
    async dump(_type, _parts, take) {
      take(message);
      return { interrupted };
    },
    get: () => undefined,
    [Symbol.dispose]() {},
  };
  const view: KernelView = {
    moment: () => Promise.resolve(undefined),
    ask: async question => ({ answer: await question(socket) }),
  };
  return createGuardCounters(view);
}

test('packets of one element are counted, or of all', async () => {
  const { packets } = counters(false);
  expect(await packets('dns_asked')).toBe(12);
  expect(await packets('dns_asked', '10.210.1.1')).toBe(7);
  expect(await packets('dns_asked', '10.210.2.1')).toBe(0);
});

test('of an address of IPv6 the guard counts nothing', async () => {
  expect(await counters(false).packets('dns_asked', 'fd00::1')).toBe(0);
});

test('a set that changes while it is listed may be listed in part, so its counters are not known', async () => {
  await expect(counters(true).packets('dns_asked')).rejects.toThrow('dns_asked');
});
