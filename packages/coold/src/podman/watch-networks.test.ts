import { describe, expect, it } from 'vitest';
import type { PodmanNetwork, PodmanNetworks } from './networks.ts';
import { watchNetworks } from './watch-networks.ts';

const forever = new AbortController().signal;
const network = (name: string): PodmanNetwork => ({ name, driver: 'bridge', subnets: [], labels: {} });

function setUp() {
  const there = new Map<string, PodmanNetwork>([['a', network('a')]]);
  let held: Promise<void> = Promise.resolve();
  const told: string[][] = [];
  const podman: PodmanNetworks = {
    async list() {
      const listed = [...there.values()];
      await held;
      return listed;
    },
    async create({ name }) {
      there.set(name, network(name));
      return network(name);
    },
    async remove(name) {
      there.delete(name);
    },
  };
  const watched = watchNetworks(podman, all => void told.push(all.map(({ name }) => name).sort()));
  return {
    told,
    watched,
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return resolve;
    },
  };
}
const spec = (name: string) => ({ name, driver: 'bridge', options: {}, labels: {} });

describe('networks that are watched', () => {
  it('are reported when they are listed, created and removed', async () => {
    const { told, watched } = setUp();
    await watched.list(forever);
    await watched.create(spec('b'), forever);
    await watched.remove('a', forever);
    expect(told).toEqual([['a'], ['a', 'b'], ['b']]);
  });

  it('are not reported from a list that was requested before a change', async () => {
    const { told, watched, hold } = setUp();
    const release = hold();
    const late = watched.list(forever);
    await watched.create(spec('b'), forever);
    release();
    expect((await late).map(({ name }) => name)).toEqual(['a']);
    expect(told).toEqual([['b']]);
    await watched.list(forever);
    expect(told.at(-1)).toEqual(['a', 'b']);
  });
});
