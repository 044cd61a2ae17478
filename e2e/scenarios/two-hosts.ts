import { afterAll, beforeAll, beforeEach } from 'vitest';
import { createFleet, type Fleet, type FleetHost, type FleetOptions } from '../harness/fleet.ts';
import type { Provider } from '../harness/provider.ts';
import { journalsOnFailure } from './journals.ts';
import { chooseGround } from './provider.ts';

/** Rented machines take minutes; the lab takes seconds. */
const setUpMs = 15 * 60_000;

export interface TwoHosts {
  fleet: Fleet;
  /** Central, and also a host. */
  a: FleetHost;
  b: FleetHost;
}

/**
 * Sets up two hosts with the product before the first test of a file, and removes them after the last. When a test
 * fails, their journals are printed.
 *
 * @param onUp further set-up before the first test
 * @param options additional hosts by name, and which hosts build
 */
export function twoHosts(
  namespaces: readonly string[],
  onUp: (given: TwoHosts) => void | Promise<void>,
  { beside = [], builders = {} }: { beside?: string[]; builders?: FleetOptions['builders'] } = {},
): void {
  let provider: Provider | undefined;
  let fleet: Fleet;
  beforeAll(async () => {
    const ground = await chooseGround();
    provider = ground.provider;
    fleet = await createFleet(ground, ['a', 'b', ...beside], namespaces, { builders });
    const [a, b] = fleet.hosts;
    if (a === undefined || b === undefined) throw new Error('two hosts were asked for');
    await onUp({ fleet, a, b });
  }, setUpMs);
  afterAll(() => provider?.close(), setUpMs);
  beforeEach(() => journalsOnFailure(fleet));
}
