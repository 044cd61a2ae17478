import { afterAll, beforeAll, beforeEach } from 'vitest';
import { createFleet, type Fleet, type FleetHost, type FleetOptions } from '../harness/fleet.ts';
import type { Provider } from '../harness/provider.ts';
import { journalsOnFailure } from './journals.ts';
import { chooseGround } from './provider.ts';

/** Rented machines take minutes where the lab takes seconds. */
const setUpMs = 15 * 60_000;

export interface TwoHosts {
  fleet: Fleet;
  /** Central, and a host. */
  a: FleetHost;
  b: FleetHost;
}

/**
 * For a file of scenarios: two hosts with the product on them before its first, and nothing after its last. When one fails,
 * their journals are printed with it.
 *
 * @param onUp what else there has to be before the first
 * @param options hosts beside the two, by name, and which of all build
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
