import { expect, it } from 'vitest';
import type { PodmanNetwork } from '../../podman/networks.ts';
import { createAddressPins } from './pin-addresses.ts';

const network = {
  name: 'shop',
  driver: 'bridge',
  labels: {},
  subnets: [{ subnet: '10.210.5.0/24', gateway: '10.210.5.1' }],
} as unknown as PodmanNetwork;
const on = [{ network, field: 'network' }];
const { signal } = new AbortController();

it('an address that a caller names is given to nobody else while its container is being created', async () => {
  const pins = createAddressPins({ holders: async () => [], ruled: async () => new Set() });
  const named: (() => void)[] = [];
  const creating = () =>
    pins.during(on, signal, () => new Promise<void>(done => named.push(done)), '10.210.5.3');
  const chosen = () => pins.during(on, signal, async addresses => addresses.get('shop'));
  // Two callers name it; one of the two is done first.
  const both = [creating(), creating()];
  expect(await chosen()).toBe('10.210.5.4');
  named[0]?.();
  await both[0];
  expect(await chosen()).toBe('10.210.5.4');
  named[1]?.();
  await both[1];
  expect(await chosen()).toBe('10.210.5.3');
});
