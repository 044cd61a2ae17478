import { expect, it } from 'vitest';
import { createForwardingMemory, createSharedForwarding } from './shared-forwarding.ts';

it('forwarders that share memory are bounded and counted together', () => {
  const memory = createForwardingMemory();
  const [one, other] = [createSharedForwarding(memory), createSharedForwarding(memory)];
  expect([one.begin(2), other.begin(2), one.begin(2)]).toEqual([true, true, false]);
  expect(other.stats()).toEqual({ forwarded: 2, errors: 1, waiting: 2 });
  other.end(true);
  one.end(false);
  expect(one.stats()).toEqual({ forwarded: 2, errors: 2, waiting: 0 });
  expect(one.begin(1)).toBe(true);
});

it('each knows from where the others ask, and no longer once they do not', () => {
  const memory = createForwardingMemory();
  const [one, other] = [createSharedForwarding(memory), createSharedForwarding(memory)];
  one.opened(0xc000_02c8, 5353);
  one.opened(0, 5354);
  expect(other.isOwn(0xc000_02c8, 5353)).toBe(true);
  expect(other.isOwn(0xc000_02c9, 5353)).toBe(false);
  expect(other.isOwn(0xc000_02c8, 5354)).toBe(false);
  one.closed(5353);
  expect(other.isOwn(0xc000_02c8, 5353)).toBe(false);
});
