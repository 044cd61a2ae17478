import { join } from 'node:path';
import { type PodmanService, scratchFolder, startPodman } from '@coold/testbed';
import Docker from 'dockerode';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { caller } from '../../test/caller.ts';
import { noSlices, undenied } from '../../test/no-firewall.ts';
import type { HostPool } from '../discovery/hosts/host-pools.ts';
import { createPodman } from '../podman/client.ts';
import { createCoalescer } from './coalesce.ts';
import type { Claim } from './network/subnet-claims.ts';
import { networkHandlers } from './networks.ts';

const onHost = {
  namespaces: [
    { name: 'shop', network: 'shop-mesh', gateway: '10.210.0.1' },
    { name: 'default', network: 'podman', gateway: '0.0.0.0' },
  ],
};

const claims = [
  { network: '100.64.0.5/16', holder: 'interface wg0' },
  { network: '10.210.6.0/24', holder: 'a route through wg0' },
];

describe('networks of a real Podman', () => {
  const stack = new AsyncDisposableStack();
  let podman: PodmanService;
  let call: ReturnType<typeof caller>;
  /** Asks the same Podman by another client than coold's, in Docker's API. */
  let docker: Docker;
  beforeAll(async () => {
    const folder = stack.use(await scratchFolder());
    podman = stack.use(await startPodman(join(folder.path, 'podman')));
    docker = new Docker({ socketPath: podman.socketPath });
    const { networks } = createPodman(podman.socketPath);
    call = caller(
      networkHandlers(networks, undenied(networks), createCoalescer(), {
        hostClaims: () => Promise.resolve(claims),
        mesh: onHost,
        slices: noSlices,
      }),
    );
  });
  afterAll(() => stack.disposeAsync());

  it('are created with their namespace and without Podman’s DNS, listed and removed', async () => {
    const fields = { name: 'shop', namespace: 'shop', subnet: '10.210.5.0/24', gateway: '10.210.5.1' };
    const network = {
      ...fields,
      driver: 'bridge',
      labels: {
        app: 'a',
        'coolify.namespace': 'shop',
        // What `coolify init` looks for on a network that it shall leave alone.
        'io.coolify.managed': 'true',
        'io.coolify.namespace': 'shop',
      },
    };
    expect(
      await call('networks.create', { ...fields, labels: { app: 'a' }, options: { mtu: '1400' } }),
    ).toEqual(network);
    expect(await call('networks.list')).toContainEqual(network);
    expect(await call('networks.list')).toContainEqual({
      name: 'podman',
      // The configuration says so; the network carries no label.
      namespace: 'default',
      driver: 'bridge',
      subnet: '10.88.0.0/16',
      gateway: '10.88.0.1',
      labels: {},
    });
    const inspected = await podman.request({ path: '/v4.0.0/libpod/networks/shop/json' });
    expect(inspected.json()).toMatchObject({ dns_enabled: false, options: { mtu: '1400' } });
    expect(await docker.getNetwork('shop').inspect()).toMatchObject({
      Name: 'shop',
      Driver: 'bridge',
      Internal: false,
      Labels: network.labels,
      IPAM: { Config: [{ Subnet: '10.210.5.0/24', Gateway: '10.210.5.1' }] },
    });
    await expect(call('networks.create', fields)).rejects.toMatchObject({ code: 409, field: 'name' });
    expect(await call('networks.delete', { name: 'shop' })).toBeNull();
    await expect(docker.getNetwork('shop').inspect()).rejects.toMatchObject({ statusCode: 404 });
    await expect(call('networks.delete', { name: 'shop' })).rejects.toMatchObject({ code: 404 });
  });

  it('are listed by name, however Podman has them', async () => {
    for (const name of ['zoo', 'bar', 'ash']) await call('networks.create', { name });
    const list = (await call('networks.list')) as { name: string }[];
    const names = list.map(({ name }) => name);
    expect(names).toEqual([...names].sort());
  });

  it('that Podman keeps, or a container is on, stay: 409', async () => {
    await expect(call('networks.delete', { name: 'podman' })).rejects.toMatchObject({ code: 409 });
    const image = await podman.ensureTinyImage();
    await call('networks.create', { name: 'used' });
    const json = { name: 'user', image, netns: { nsmode: 'bridge' }, networks: { used: {} } };
    const created = await podman.request({ method: 'POST', path: '/v4.0.0/libpod/containers/create', json });
    expect(created.status).toBe(201);
    await expect(call('networks.delete', { name: 'used' })).rejects.toMatchObject({ code: 409 });
    // Docker's API has Docker's name for Podman's own network.
    expect((await docker.listNetworks()).map(({ Name }) => Name)).toEqual(
      expect.arrayContaining(['bridge', 'used']),
    );
  });

  it('without a subnet get one, and without a gateway its first address', async () => {
    expect(await call('networks.create', { name: 'any' })).toMatchObject({
      namespace: '',
      subnet: expect.stringMatching(/\/24$/) as string,
    });
    expect(await call('networks.create', { name: 'first', subnet: '10.7.0.0/24' })).toMatchObject({
      gateway: '10.7.0.1',
    });
    await expect(call('networks.create', { name: 'any' })).rejects.toMatchObject({
      code: 409,
      field: 'name',
    });
  });

  it('without a subnet keep clear of what Podman does not know of', async () => {
    const { networks } = createPodman(podman.socketPath);
    const unnamed = {} as never; // these are of no namespace
    const mesh = [{ network: '10.64.0.0/10', holder: 'a route through wg0' }];
    const onMesh = caller(
      networkHandlers(networks, unnamed, createCoalescer(), {
        mesh: onHost,
        slices: noSlices,
        hostClaims: () => Promise.resolve(mesh),
      }),
    );
    expect(await onMesh('networks.create', { name: 'clear' })).toMatchObject({
      subnet: '10.128.0.0/24',
      gateway: '10.128.0.1',
    });
    const all = [{ network: '10.0.0.0/8', holder: 'a route through wg0' }];
    const full = caller(
      networkHandlers(networks, unnamed, createCoalescer(), {
        mesh: onHost,
        slices: noSlices,
        hostClaims: () => Promise.resolve(all),
      }),
    );
    await expect(full('networks.create', { name: 'none' })).rejects.toMatchObject({
      code: 409,
      field: 'subnet',
    });
  });

  describe('where this host has a slice of the mesh', () => {
    const slice = '10.211.16.0/22';
    const onSlice = (claims: Claim[], others: HostPool[] = [], own = slice) => {
      const { networks } = createPodman(podman.socketPath);
      return caller(
        networkHandlers(networks, undenied(networks), createCoalescer(), {
          hostClaims: () => Promise.resolve(claims),
          mesh: onHost,
          slices: { own, others: () => others },
        }),
      );
    };
    const made: string[] = [];
    const app = (name: string) => {
      made.push(name);
      return { name, namespace: 'shop' };
    };
    afterEach(async () => {
      for (const name of made.splice(0)) await call('networks.delete', { name }).catch(() => {});
    });

    it('take the next /24 of it, and at its end a 409 names who has them', async () => {
      const onHost = onSlice([]);
      const next = async (name: string) =>
        ((await onHost('networks.create', app(name))) as { subnet: string }).subnet;
      const subnets = [await next('app0'), await next('app1')];
      expect(await onHost('networks.create', { ...app('asked'), subnet: '10.211.18.0/24' })).toBeTruthy();
      subnets.push(await next('app2'));
      expect(subnets).toEqual(['10.211.16.0/24', '10.211.17.0/24', '10.211.19.0/24']);
      await expect(next('app3')).rejects.toMatchObject({
        code: 409,
        field: 'subnet',
        message:
          'subnet: COOLD_NETWORK_POOL 10.211.16.0/22 of this host has no free one; ' +
          'it is taken by network app0, network app1, network app2, network asked',
      });
      await onHost('networks.delete', { name: 'app1' });
      expect(await next('again')).toBe('10.211.17.0/24');
    });

    it('one each when they are made at once', async () => {
      const onHost = onSlice([]);
      const all = await Promise.all(['w', 'x', 'y', 'z'].map(name => onHost('networks.create', app(name))));
      expect(all.map(network => (network as { subnet: string }).subnet).sort()).toEqual([
        ...['10.211.16.0/24', '10.211.17.0/24', '10.211.18.0/24', '10.211.19.0/24'],
      ]);
    });

    it('a slice no larger than a /24 is one subnet', async () => {
      expect(await onSlice([], [], '10.211.20.64/27')('networks.create', app('small'))).toMatchObject({
        subnet: '10.211.20.64/27',
        gateway: '10.211.20.65',
      });
    });

    it('a network of no namespace stays out of it', async () => {
      made.push('plain');
      expect(await onSlice([], [], '10.89.0.0/16')('networks.create', { name: 'plain' })).toMatchObject({
        subnet: expect.stringMatching(/^10\.9\d\./) as string,
      });
    });

    it('a route to a hub that is wider than the slice takes nothing of it; one that is not takes what it leads to', async () => {
      const hub: Claim = { network: '10.210.0.0/15', holder: 'a route through wg0', kind: 'route' };
      const part: Claim = { network: '10.211.16.0/23', holder: 'a route through wg0', kind: 'route' };
      expect(await onSlice([hub, part])('networks.create', app('beside'))).toMatchObject({
        subnet: '10.211.18.0/24',
      });
      expect(
        await onSlice([hub])('networks.create', { ...app('named'), subnet: '10.211.17.0/24' }),
      ).toMatchObject({ subnet: '10.211.17.0/24' });
      // Out of the slice it is as it was.
      await expect(
        onSlice([hub])('networks.create', { ...app('out'), subnet: '10.210.9.0/24' }),
      ).rejects.toMatchObject({
        code: 409,
        message: /collides with 10\.210\.0\.0\/15 of a route through wg0/,
      });
      const same: Claim = { network: slice, holder: 'a route through wg0', kind: 'route' };
      await expect(onSlice([same])('networks.create', app('none'))).rejects.toMatchObject({
        code: 409,
        message: expect.stringMatching(/it is taken by .*a route through wg0$/) as string,
      });
    });

    it('creates nothing when it overlaps with the slice of another host, which the 409 names', async () => {
      const other = { hostMgmtIp: '100.64.0.2', pool: '10.211.16.0/23' };
      expect(await onSlice([], [other])('networks.create', app('aside'))).toMatchObject({
        subnet: '10.211.18.0/24',
      });
      const whole = onSlice([], [{ ...other, pool: '10.211.0.0/16' }]);
      const message = expect.stringMatching(/COOLD_NETWORK_POOL of host 100\.64\.0\.2/) as string;
      await expect(whole('networks.create', app('no'))).rejects.toMatchObject({ code: 409, message });
      await expect(
        whole('networks.create', { ...app('no'), subnet: '10.211.99.0/24' }),
      ).rejects.toMatchObject({ code: 409, field: 'subnet', message });
    });
  });

  it('without a subnet get one each when they are made at once', async () => {
    const names = ['p', 'q', 'r', 's'];
    const made = await Promise.all(names.map(name => call('networks.create', { name })));
    const subnets = (made as { subnet: string }[]).map(({ subnet }) => subnet);
    expect(new Set(subnets).size).toBe(names.length);
    const told = await Promise.all(names.map(name => docker.getNetwork(name).inspect()));
    expect(told.map(({ IPAM }: Docker.NetworkInspectInfo) => IPAM?.Config?.[0]?.Subnet)).toEqual(subnets);
  });

  it.each([
    ['10.88.0.0/16', 'network podman'],
    ['10.88.4.0/24', '10.88.0.0/16'],
    ['10.0.0.0/8', 'of network '],
    ['100.64.9.0/24', 'interface wg0'],
    ['10.210.0.0/16', 'a route through wg0'],
  ])('on %s collide, and the answer says with %s', async (subnet, named) => {
    await expect(call('networks.create', { name: 'late', subnet })).rejects.toMatchObject({
      code: 409,
      field: 'subnet',
      message: expect.stringContaining(named) as string,
    });
  });

  it.each([
    [{}, 'name'],
    [{ name: '../x' }, 'name'],
    [{ name: 'n', namespace: 'A_b' }, 'namespace'],
    [{ name: 'n', namespace: 'elsewhere' }, 'namespace'],
    [{ name: 'n', labels: { 'io.coolify.namespace': 'shop' } }, 'labels.io.coolify.namespace'],
    [{ name: 'n', driver: 'macvlan' }, 'driver'],
    [{ name: 'n', subnet: '10.7.0.1/24' }, 'subnet'],
    [{ name: 'n', subnet: '10.7.0.0/31' }, 'subnet'],
    [{ name: 'n', subnet: '0.0.0.0/0' }, 'subnet'],
    [{ name: 'n', subnet: 'fd00::/64' }, 'subnet'],
    [{ name: 'n', subnet: '1.1.1.0/24' }, 'subnet'],
    [{ name: 'n', subnet: '224.0.0.0/24' }, 'subnet'],
    [{ name: 'n', subnet: '169.254.7.0/24' }, 'subnet'],
    [{ name: 'n', subnet: '127.7.0.0/24' }, 'subnet'],
    [{ name: 'n', subnet: '172.0.0.0/8' }, 'subnet'],
    [{ name: 'n', gateway: '10.7.0.1' }, 'gateway'],
    [{ name: 'n', subnet: '10.7.0.0/24', gateway: '10.8.0.1' }, 'gateway'],
    [{ name: 'n', subnet: '10.7.0.0/24', gateway: '10.7.0.0' }, 'gateway'],
    [{ name: 'n', subnet: '10.7.0.0/24', gateway: '10.7.0.255' }, 'gateway'],
    [{ name: 'n', options: { parent: 'eth0' } }, 'options.parent'],
    [{ name: 'n', labels: { 'coolify.namespace': 'x' } }, 'labels.coolify.namespace'],
  ])('of %j are refused', async (fields, field) => {
    await expect(call('networks.create', fields)).rejects.toMatchObject({ code: 400, field });
  });
});
