// Against a real Podman and the packet filter of a network namespace. Needs root.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { VerbError } from '@coold/errors';
import { type PodmanService, scratchFolder, startPodman } from '@coold/testbed';
import { createPacketFilter, type PacketFilter } from '@coold/testbed/packet-filter';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { caller, silent } from '../../../test/caller.ts';
import { noSlices } from '../../../test/no-firewall.ts';
import { applyScaffold } from '../../firewall/scaffold/apply-scaffold.ts';
import { readJoined } from '../../firewall/scaffold/joined-file.ts';
import { createJoinedSubnets } from '../../firewall/scaffold/joined-subnets.ts';
import { createPodman } from '../../podman/client.ts';
import type { PodmanNetworks } from '../../podman/networks.ts';
import { createCoalescer } from '../coalesce.ts';
import { networkHandlers } from '../networks.ts';
import { createNamespaceNetworks } from './namespace-networks.ts';

const scaffold = {
  subnets: ['10.210.0.0/24'],
  pools: ['10.210.0.0/16'],
  joined: [],
  wgInterface: 'wg0',
  mgmtNetworks: [],
  apiPorts: [],
  chainName: 'COOLIFY-ALLOW',
};
const machinePath = process.env['PATH'];
const outside = { name: 'outside', namespace: 'shop', subnet: '10.99.0.0/24' };
const inside = { name: 'inside', namespace: 'shop', subnet: '10.210.7.0/24' };

describe('networks of namespaces', () => {
  const stack = new AsyncDisposableStack();
  let cleanup: AsyncDisposableStack;
  let podman: PodmanService;
  let networks: PodmanNetworks;
  let filter: PacketFilter;
  let path: string;
  beforeAll(async () => {
    const folder = stack.use(await scratchFolder());
    podman = stack.use(await startPodman(join(folder.path, 'podman')));
    ({ networks } = createPodman(podman.socketPath));
  });
  afterAll(() => stack.disposeAsync());
  beforeEach(async () => {
    cleanup = new AsyncDisposableStack();
    const folder = cleanup.use(await scratchFolder());
    filter = cleanup.use(await createPacketFilter(folder.path));
    path = join(folder.path, 'etc', 'joined.subnets');
    process.env['PATH'] = filter.path;
  });
  afterEach(async () => {
    process.env['PATH'] = machinePath;
    const signal = new AbortController().signal;
    for (const { name } of await networks.list(signal))
      if (name !== 'podman') await networks.remove(name, signal);
    await cleanup.disposeAsync();
  });

  const namespaceNetworks = (of = networks) => createNamespaceNetworks(of, createJoinedSubnets(path), silent);
  const verbs = (of = networks) =>
    caller(
      networkHandlers(of, namespaceNetworks(of), createCoalescer(), {
        hostClaims: () => Promise.resolve([]),
        mesh: { namespaces: [{ name: 'shop', network: 'shop-mesh', gateway: '10.210.0.1' }] },
        slices: noSlices,
      }),
    );
  const hooks = async () =>
    (await filter.iptables('-S', 'FORWARD')).match(/(?<=-d )\S+(?=.* -j COOLIFY-INTRA$)/gm) ?? [];
  const bridged = async () => {
    const chain = await filter.nft('list', 'chain', 'bridge', 'coolify_bridge', 'forward');
    return [...new Set(chain.match(/(?<="joined:)[^"]+/g) ?? [])];
  };
  const guarded = async () => {
    const set = await filter.nft('list', 'set', 'inet', 'coolify_guard', 'local_subnets');
    return set.match(/[0-9./]+(?= comment "joined")/g) ?? [];
  };
  const denied = async () => ({
    file: (await readJoined(path)).subnets,
    hooks: await hooks(),
    bridged: await bridged(),
    guarded: await guarded(),
  });
  const none = { file: [], hooks: ['10.210.0.0/16'], bridged: [], guarded: [] };
  const ofOutside = {
    file: [outside.subnet],
    hooks: [outside.subnet, '10.210.0.0/16'],
    bridged: [outside.subnet],
    guarded: [outside.subnet],
  };

  it('are denied in both planes before Podman makes them, and no longer once they are gone', async () => {
    await applyScaffold(scaffold);
    const seen: unknown[] = [];
    const call = verbs({
      ...networks,
      async create(spec, signal) {
        seen.push(await denied());
        return networks.create(spec, signal);
      },
    });
    await call('networks.create', outside);
    await call('networks.create', inside);
    const both = ['10.99.0.0/24', '10.210.7.0/24'];
    expect(seen).toEqual([ofOutside, { file: both, hooks: ofOutside.hooks, bridged: both, guarded: both }]);
    expect(await filter.iptables('-t', 'nat', '-S', 'POSTROUTING')).toContain(
      '-s 10.99.0.0/24 -o wg0 -j RETURN',
    );
    await call('networks.delete', { name: 'inside' });
    expect(await denied()).toEqual(ofOutside);
    await call('networks.delete', { name: 'outside' });
    expect(await denied()).toEqual(none);
  });

  it('without a namespace are nobody’s to deny', async () => {
    await applyScaffold(scaffold);
    await verbs()('networks.create', { name: 'theirs', subnet: '10.99.0.0/24' });
    expect(await denied()).toEqual(none);
  });

  it('without a subnet get one each that is denied, also at once', async () => {
    await applyScaffold(scaffold);
    const call = verbs();
    const made = (await Promise.all(
      ['one', 'two', 'three'].map(name => call('networks.create', { name, namespace: 'shop' })),
    )) as { subnet: string }[];
    expect(new Set(made.map(({ subnet }) => subnet)).size).toBe(3);
    expect((await denied()).bridged).toEqual(expect.arrayContaining(made.map(({ subnet }) => subnet)));
  });

  it('are not made while the packet filter refuses: 503, and nothing is left', async () => {
    await applyScaffold(scaffold);
    const call = verbs();
    for (const program of ['nft', 'iptables-restore'] as const) {
      await filter.break(program, 'refuses');
      await expect(call('networks.create', outside)).rejects.toMatchObject({
        code: 503,
        message: expect.stringContaining(`${program} `) as string,
      });
      await filter.repair(program);
      expect(await call('networks.list')).toHaveLength(1);
      expect((await readJoined(path)).subnets).toEqual([]);
    }
    await call('networks.create', inside);
    expect(await hooks()).toEqual(none.hooks);
    expect(await bridged()).toEqual([inside.subnet]);
  });

  it('are not made where nothing leads to the default deny any more', async () => {
    await applyScaffold(scaffold);
    await filter.iptables('-F', 'FORWARD');
    await expect(verbs()('networks.create', outside)).rejects.toMatchObject({
      code: 503,
      message: expect.stringContaining('systemctl restart coolify-mesh-fw') as string,
    });
    expect(await filter.iptables('-S', 'FORWARD')).toBe('-P FORWARD ACCEPT\n');
    // Where there is nothing to deny it is not this one's to complain of.
    await createJoinedSubnets(path).keep([]);
  });

  it('that Podman refuses leave the default deny again; of those it did not answer for the subnet stays in it', async () => {
    await applyScaffold(scaffold);
    const refusing = verbs({
      ...networks,
      create: (spec, signal) => networks.create({ ...spec, driver: 'no-such-driver' }, signal),
    });
    await expect(refusing('networks.create', outside)).rejects.toThrow('podman: ');
    expect(await denied()).toEqual(none);
    const call = verbs({
      ...networks,
      create: () => Promise.reject(new VerbError('podman_unavailable', 'too late')),
    });
    await expect(call('networks.create', outside)).rejects.toMatchObject({ code: 503 });
    await expect(call('networks.create', inside)).rejects.toMatchObject({ code: 503 });
    expect((await denied()).bridged).toEqual(['10.99.0.0/24', '10.210.7.0/24']);
  });

  it('on a permissive host change nothing in the kernel, and are denied from the first scaffold on', async () => {
    await verbs()('networks.create', outside);
    expect(await filter.iptables('-S')).not.toContain('COOLIFY');
    expect(await filter.nft('list', 'ruleset')).not.toContain('bridge');
    await applyScaffold({ ...scaffold, joined: (await readJoined(path)).subnets });
    expect((await denied()).hooks.toSorted()).toEqual(ofOutside.hooks.toSorted());
  });

  it('are denied when coold starts, whatever was interrupted, and what has no network is not', async () => {
    await applyScaffold({ ...scaffold, joined: ['10.98.0.0/24'] });
    await networks.create(
      {
        name: 'outside',
        driver: 'bridge',
        options: {},
        labels: { 'coolify.namespace': 'shop' },
        subnet: { subnet: outside.subnet, gateway: undefined },
      },
      new AbortController().signal,
    );
    await createJoinedSubnets(path).keep(['10.98.0.0/24']);
    await writeFile(path, '10.98.0.0/24\nhalf a li');
    const stop = new AbortController();
    const settled = namespaceNetworks().settle(stop.signal);
    await expect.poll(denied, { timeout: 20_000 }).toEqual(ofOutside);
    stop.abort();
    await settled;
  });
});
