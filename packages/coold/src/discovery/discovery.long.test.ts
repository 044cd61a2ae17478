// Discovery on a real Podman and the stand-in for Corrosion. Needs root.
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createCorrosion } from '@coold/corrosion';
import { rememberLines } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import { type StandIn, startStandIn, testLog } from '@coold/testbed/corrosion';
import { soon } from '@coold/testbed/soon';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  forever,
  hostMgmtIp,
  type MeshHost,
  type RunningDiscovery,
  rowsOf,
  runDiscovery,
  startMeshHost,
} from '../../test/mesh-host.ts';
import { namespaceLabel } from '../verbs/network/namespace-networks.ts';
import { upsertEndpoint } from './corrosion/endpoint-table.ts';
import { createRegistrations } from './corrosion/registrations.ts';

const machine = new AsyncDisposableStack();
let host: MeshHost;
let folder: string;
beforeAll(async () => {
  folder = machine.use(await scratchFolder()).path;
  host = machine.use(await startMeshHost(folder));
}, 60_000);
afterAll(() => machine.disposeAsync());

let cleanup: AsyncDisposableStack;
let standIn: StandIn;
let round = 0;
beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  round += 1;
  standIn = cleanup.use(await startStandIn(join(folder, `corrosion-${round}`)));
});
afterEach(async () => {
  await cleanup.disposeAsync();
  for (const { id } of await host.podman.listContainers(forever))
    await host.podman.containers.remove(id, true, forever);
});

const start = (options: Parameters<typeof runDiscovery>[2] = {}): RunningDiscovery => {
  const discovery = cleanup.use(runDiscovery(host.podman, standIn.url, options));
  cleanup.defer(() => expect(discovery.failures).toEqual([]));
  return discovery;
};
const found = (discovery: RunningDiscovery, name: string, namespace = 'default') =>
  discovery.directory.find(namespace, name)?.map(({ containerId }) => containerId);

describe('the aliases of a container', () => {
  const aliased = (...aliases: string[]) => ({ Networks: { mesh: { aliases } } });
  const services = async (): Promise<string[]> => {
    const found: string[] = [];
    const sql = 'SELECT service_id, container_id FROM service_registrations ORDER BY service_id';
    await createCorrosion({ url: standIn.url, tokenFile: undefined }).query(
      [sql, []],
      row => void found.push(row.map(String).join(' ')),
      forever,
    );
    return found;
  };

  it('are names of its namespace while it exists, as well as containers with the same names', async () => {
    const discovery = start();
    const web = await host.run('web', ['mesh'], aliased('www', 'API'));
    await soon(() => expect([found(discovery, 'www'), found(discovery, 'api')]).toEqual([[web], [web]]));
    expect(found(discovery, 'www', 'alpha')).toBeUndefined();
    const www = await host.run('www');
    await soon(() => expect(found(discovery, 'www')?.toSorted()).toEqual([web, www].toSorted()));
    await host.act('POST', `/containers/${web}/kill`);
    await soon(() => expect([found(discovery, 'www'), found(discovery, 'api')]).toEqual([[www], undefined]));
    expect(discovery.directory.leftOut('default', 'api')).toMatchObject([
      { containerId: web, reason: 'not_running' },
    ]);
    await host.act('DELETE', `/containers/${web}?force=true`);
    await soon(async () => expect(await services()).toEqual([]));
  });

  it('are put right where they were changed while coold was down, and leave what callers registered alone', async () => {
    const id = await host.run('web', ['mesh'], aliased('www'));
    const registrations = createRegistrations(
      createCorrosion({ url: standIn.url, tokenFile: undefined }),
      hostMgmtIp,
      Date.now,
    );
    const service = { containerId: id, namespace: 'default', hostMgmtIp, port: 80 };
    for (const [serviceId, name] of [
      ['alias:old', 'old'],
      ['alias:www', 'wrong'],
      ['shop', 'shop'],
    ] as const)
      await registrations.register(
        { ...service, serviceId, name, namespace: serviceId === 'alias:www' ? 'alpha' : 'default' },
        forever,
      );
    const discovery = start();
    await soon(async () => expect(await services()).toEqual([`alias:www ${id}`, `shop ${id}`]));
    await soon(() => expect([found(discovery, 'www'), found(discovery, 'shop')]).toEqual([[id], [id]]));
    expect(found(discovery, 'wrong', 'alpha')).toBeUndefined();
  });

  it('are said once to have no names where the schema has no table for them', async () => {
    const { log, recent } = rememberLines(testLog(), 100);
    const bare = cleanup.use(
      await startStandIn(join(folder, `corrosion-bare-${round}`), { tables: ['service_endpoints'] }),
    );
    const discovery = cleanup.use(runDiscovery(host.podman, bare.url, { log }));
    const id = await host.run('web', ['mesh'], aliased('www'));
    await soon(() => expect(found(discovery, 'web')).toEqual([id]));
    const said = () => recent().filter(({ message }) => /network aliases have no names/.test(message));
    await soon(() => expect(said()).toHaveLength(1));
    await host.run('other');
    await soon(() => expect(found(discovery, 'other')).toHaveLength(1));
    expect([said().length, found(discovery, 'www')]).toEqual([1, undefined]);
  });
});

describe('a container', () => {
  it('is found from its start to its end, whatever becomes of it', async () => {
    const discovery = start();
    const id = await host.run('web');
    await soon(() => expect(found(discovery, 'web')).toEqual([id]));
    const [answer] = discovery.directory.find('default', 'web') ?? [];
    expect(answer).toMatchObject({ address: expect.stringMatching(/^10\.231\.1\./), hostMgmtIp });
    expect(discovery.directory.addresses()).toEqual(new Set([answer?.address]));

    await host.act('POST', `/containers/${id}/rename?name=api`);
    await soon(() => expect([found(discovery, 'web'), found(discovery, 'api')]).toEqual([undefined, [id]]));

    await host.act('POST', `/containers/${id}/pause`);
    await soon(() => expect(found(discovery, 'api')).toBeUndefined());
    await host.act('POST', `/containers/${id}/unpause`);
    await soon(() => expect(found(discovery, 'api')).toEqual([id]));

    await host.act('POST', `/containers/${id}/kill`);
    await soon(() => expect(found(discovery, 'api')).toBeUndefined());
    const stopped = { state: 'exited', address: '', name: 'api' };
    await soon(async () => expect((await rowsOf(standIn.url)).get(id)).toMatchObject(stopped));

    await host.act('POST', `/containers/${id}/start`);
    await soon(() => expect(found(discovery, 'api')).toEqual([id]));
    await host.act('DELETE', `/containers/${id}?force=true`);
    await soon(() => expect(found(discovery, 'api')).toBeUndefined());
    await soon(async () => expect(await rowsOf(standIn.url)).toEqual(new Map()));
  });

  it('that is unhealthy is not found, and is again once it is healthy', async () => {
    const discovery = start();
    const check = {
      Test: ['CMD', '/bin/busybox', 'test', '-e', '/well'],
      Interval: 0,
      Timeout: 5e9,
      Retries: 1,
    };
    const id = await host.run('web', ['mesh'], { healthconfig: check });
    const examine = () => host.podman.containers.healthcheck(id, forever);
    await examine();
    await soon(async () =>
      expect((await rowsOf(standIn.url)).get(id)).toMatchObject({ health: 'unhealthy' }),
    );
    expect(found(discovery, 'web')).toBeUndefined();
    await host.podman.containers.exec(
      id,
      { cmd: ['/bin/busybox', 'touch', '/well'], tty: false, env: [], workdir: '', user: '' },
      () => {},
      { timeoutMs: 20_000 },
      forever,
    );
    await examine();
    await soon(() => expect(found(discovery, 'web')).toEqual([id]));
  });

  it('whose health is the same after a check is inspected once for it', async () => {
    const seen = { lists: 0, facts: 0, events: 0 };
    const { lifecycle } = host.podman;
    start({
      podman: {
        ...host.podman,
        lifecycle: {
          list(signal) {
            seen.lists += 1;
            return lifecycle.list(signal);
          },
          facts(id, signal) {
            seen.facts += 1;
            return lifecycle.facts(id, signal);
          },
          events: (onContainer, signal) =>
            lifecycle.events((...event) => {
              seen.events += 1;
              onContainer(...event);
            }, signal),
        },
      },
    });
    const lists = (more: number) => {
      const wanted = seen.lists + more;
      return soon(() => expect(seen.lists).toBeGreaterThanOrEqual(wanted));
    };
    const check = { Test: ['CMD', '/bin/busybox', 'true'], Interval: 0, Timeout: 5e9, Retries: 1 };
    const id = await host.run('web', ['mesh'], { healthconfig: check });
    await host.podman.containers.healthcheck(id, forever);
    await soon(async () => expect((await rowsOf(standIn.url)).get(id)).toMatchObject({ health: 'healthy' }));
    await lists(3);
    Object.assign(seen, { lists: 0, facts: 0, events: 0 });
    for (let round = 1; round <= 3; round += 1) {
      await host.podman.containers.healthcheck(id, forever);
      await soon(() => expect(seen.events).toBeGreaterThanOrEqual(round));
      await lists(3);
    }
    expect(seen).toMatchObject({ facts: 3, events: 3 });
  });

  it('is found in the namespace of its network, the first of several, and in none without', async () => {
    const discovery = start();
    const alpha = await host.run('a', ['alpha-mesh']);
    const both = await host.run('b', ['alpha-mesh', 'mesh']);
    await host.run('c', ['podman']);
    await soon(() => {
      expect(found(discovery, 'a', 'alpha')).toEqual([alpha]);
      expect(found(discovery, 'b')).toEqual([both]);
    });
    expect(found(discovery, 'b', 'alpha')).toBeUndefined();
    await host.act('POST', '/networks/mesh/disconnect', { container: both });
    await soon(() =>
      expect([found(discovery, 'b'), found(discovery, 'b', 'alpha')]).toEqual([undefined, [both]]),
    );
    await host.act('POST', '/networks/alpha-mesh/disconnect', { container: both });
    await soon(async () => expect([...(await rowsOf(standIn.url)).keys()]).toEqual([alpha]));
  });

  it('on a network that was created with a namespace is found there', async () => {
    const discovery = start();
    const spec = { name: 'app', driver: 'bridge', options: {}, labels: { [namespaceLabel]: 'shop' } };
    await host.podman.networks.create(spec, forever);
    const id = await host.run('db', ['app']);
    await soon(() => expect(found(discovery, 'db', 'shop')).toEqual([id]));
    await host.act('DELETE', `/containers/${id}?force=true`);
    await host.podman.networks.remove('app', forever);
    await soon(async () => expect(await rowsOf(standIn.url)).toEqual(new Map()));
  });

  it('whose name is not a DNS label has a row and no name', async () => {
    const discovery = start();
    const id = await host.run('web.1');
    await soon(async () => expect((await rowsOf(standIn.url)).get(id)).toMatchObject({ name: 'web.1' }));
    await soon(() => expect(discovery.directory.stats().rows).toBe(1));
    expect(found(discovery, 'web.1')).toBeUndefined();
  });
});

describe('at the start', () => {
  it('rows of containers that have gone are removed, and those of other hosts are left', async () => {
    const kept = await host.run('kept');
    const direct = createCorrosion({ url: standIn.url, tokenFile: undefined });
    const row = (containerId: string, of: string) => ({
      containerId,
      name: containerId,
      namespace: 'default',
      hostMgmtIp: of,
      address: '10.231.7.7',
      state: 'running',
      health: 'unknown',
    });
    const registration = (id: string, of: string): [string, string[]] => [
      "INSERT INTO service_registrations (service_id, container_id, name, namespace, host_mgmt_ip) VALUES ('s', ?, 'shop', 'default', ?)",
      [id, of],
    ];
    await direct.execute(
      [
        ...[row('gone', hostMgmtIp), row('theirs', '100.64.0.2')].map(one => upsertEndpoint(one, 1)),
        registration('gone', hostMgmtIp),
        registration('theirs', '100.64.0.2'),
        registration(kept, hostMgmtIp),
      ],
      forever,
    );
    const before = Date.now();
    const discovery = start();
    await soon(async () =>
      expect([...(await rowsOf(standIn.url)).keys()].sort()).toEqual([kept, 'theirs'].sort()),
    );
    await soon(() => expect(found(discovery, 'shop')?.sort()).toEqual([kept, 'theirs'].sort()));
    expect(found(discovery, 'theirs')).toEqual(['theirs']);
    await soon(async () => {
      const ids: unknown[] = [];
      await direct.query(
        ['SELECT container_id FROM service_registrations', []],
        ([id]) => void ids.push(id),
        forever,
      );
      expect(ids.sort()).toEqual([kept, 'theirs'].sort());
    });
    const written: unknown[] = [];
    await direct.query(
      ['SELECT updated_at FROM service_endpoints WHERE container_id = ?', [kept]],
      ([at]) => void written.push(at),
      forever,
    );
    expect(Number(written[0])).toBeGreaterThanOrEqual(before);
  });
});

describe('the token of Corrosion', () => {
  it('that others can read ends discovery at the start, and so coold', async () => {
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, 'secret');
    await chmod(tokenFile, 0o644);
    await using discovery = runDiscovery(host.podman, standIn.url, {
      corrosion: { url: standIn.url, tokenFile },
    });
    await soon(() =>
      expect(discovery.failures).toEqual([
        expect.objectContaining({ message: expect.stringContaining(`${tokenFile} has mode 644`) }),
      ]),
    );
  });
});

describe('registrations', () => {
  it('last as long as their container', async () => {
    const discovery = start();
    const id = await host.run('v1');
    const register = (serviceId: string, containerId: string) =>
      discovery.registrations.register(
        { serviceId, containerId, name: 'shop', namespace: 'default', hostMgmtIp, port: 80 },
        forever,
      );
    await register('s', id);
    await register('s', id);
    await register('t', id);
    await soon(() => expect(found(discovery, 'shop')).toEqual([id]));
    expect(await discovery.registrations.endpoints('s', forever)).toEqual([
      {
        containerId: id,
        containerIp: expect.stringMatching(/^10\.231\.1\./),
        hostMgmtIp,
        port: 80,
        state: 'running',
        health: 'unknown',
      },
    ]);
    await discovery.registrations.unregister('s', [id], forever);
    expect(await discovery.registrations.endpoints('s', forever)).toEqual([]);
    expect(found(discovery, 'shop')).toEqual([id]);
    await host.act('DELETE', `/containers/${id}?force=true`);
    await soon(async () => expect(await discovery.registrations.endpoints('t', forever)).toEqual([]));
    // One that lands after its container has gone is removed as well.
    await register('u', id);
    discovery.touch(id);
    await soon(async () => expect(await discovery.registrations.endpoints('u', forever)).toEqual([]));
  });
});

describe('an agent that another program has set up, without the tables of coold', () => {
  it('carries containers as quickly, and no doubt is raised', async () => {
    standIn = cleanup.use(
      await startStandIn(join(folder, 'foreign-schema'), { tables: ['service_endpoints'] }),
    );
    const discovery = start({ intervalMs: 60_000 });
    await soon(() => expect(discovery.directory.isLoaded()).toBe(true));
    const id = await host.run('plain');
    // Long before the next look at everything: the event alone brings the row.
    await soon(() => expect(found(discovery, 'plain')).toEqual([id]));
    expect(discovery.directory.stats()).toMatchObject({ connected: true, resubscriptions: 0 });
    expect(discovery.stats().sync.corrosionFailures).toBe(0);
    expect(await discovery.registrations.endpoints('shop', forever)).toEqual([]);
  });
});

describe('at its start, a row of another host', () => {
  const far = { containerId: 'f'.repeat(64), name: 'far', namespace: 'default', hostMgmtIp: '100.64.0.9' };
  const write = (address: string) =>
    createCorrosion({ url: standIn.url, tokenFile: undefined }).execute(
      [upsertEndpoint({ ...far, address, state: 'running', health: 'unknown' }, Date.now())],
      forever,
    );
  /** Every answer there has been. */
  const follow = (discovery: RunningDiscovery) => {
    const answers = new Set<string>();
    discovery.directory.watch(() => {
      for (const { address } of discovery.directory.find('default', 'far') ?? []) answers.add(address);
    });
    return answers;
  };

  it('is not answered before the peers say what can be reached', async () => {
    await write('10.89.0.7');
    const peers = Promise.withResolvers<[]>();
    const discovery = start({ readPeers: () => peers.promise });
    const answers = follow(discovery);
    const web = await host.run('web');
    // It was written long after the mesh could have been loaded.
    await soon(async () => expect((await rowsOf(standIn.url)).has(web)).toBe(true));
    peers.resolve([]);
    await soon(() => expect(found(discovery, 'web')).toEqual([web]));
    expect([...answers]).toEqual([]);
  });

  it('is not answered with an address of this host before its networks are known, without peers', async () => {
    await write('10.231.1.77');
    const asked = Promise.withResolvers<void>();
    const mayList = Promise.withResolvers<void>();
    const networks = {
      list: async (signal: AbortSignal) => {
        asked.resolve();
        await mayList.promise;
        return host.podman.networks.list(signal);
      },
    };
    const discovery = cleanup.use(runDiscovery({ lifecycle: host.podman.lifecycle, networks }, standIn.url));
    const answers = follow(discovery);
    await asked.promise;
    // As long as a load takes: one of another follower, which waits for nothing.
    const other = start({ readPeers: async () => [] });
    await soon(() => expect(other.directory.isLoaded()).toBe(true));
    mayList.resolve();
    await soon(() => expect(discovery.directory.isLoaded()).toBe(true));
    expect([...answers]).toEqual([]);
    expect(discovery.directory.leftOut('default', 'far')).toMatchObject([{ reason: 'unreachable' }]);
  });
});
