import { expect, it } from 'vitest';
import { createClientShare } from './client-share.ts';
import { createForwardingMemory, createSharedForwarding } from './shared-forwarding.ts';

it('one client has half of the places at most, and there is room for another', () => {
  const forwarding = createSharedForwarding(createForwardingMemory(2));
  const share = createClientShare(forwarding, 1, 300);
  const taken = (client: number) => {
    let count = 0;
    while (share.take(client)) count += 1;
    return count;
  };
  expect(taken(1)).toBe(150);
  expect(taken(2)).toBe(75);
  expect(taken(3)).toBeGreaterThan(30);
  expect(share.take(4)).toBe(true);
  // A neighbour's places are its own.
  const neighbour = createClientShare(forwarding, 2, 300);
  expect(neighbour.take(1)).toBe(true);
  for (let count = 0; count < 150; count += 1) share.leave(1, true);
  expect(share.take(1)).toBe(true);
});
