// What goes wrong around discovery, on a real Podman and the stand-in for Corrosion: afterwards rows and directory are what
// Podman says. Needs root.
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createCorrosion, type Statement } from '@coold/corrosion';
import { VerbError } from '@coold/errors';
import { rememberLines } from '@coold/runtime';
import { scratchFolder, startPodman } from '@coold/testbed';
import {
  type Fault,
  type FaultyProxy,
  type StandIn,
  startFaultyProxy,
  startStandIn,
  testLog,
} from '@coold/testbed/corrosion';
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
import type { ContainerFacts } from '../podman/lifecycle.ts';
import { upsertEndpoint } from './corrosion/endpoint-table.ts';
import { readVersion } from './corrosion/version-file.ts';
import type { Endpoint } from './endpoint.ts';

let cleanup: AsyncDisposableStack;
let folder: string;
let standIn: StandIn;
let proxy: FaultyProxy;
beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  folder = cleanup.use(await scratchFolder()).path;
  standIn = cleanup.use(await startStandIn(join(folder, 'corrosion')));
  proxy = cleanup.use(await startFaultyProxy(standIn.url));
});
afterEach(() => cleanup.disposeAsync());

const start = (
  podman: Parameters<typeof runDiscovery>[0],
  options: Parameters<typeof runDiscovery>[2] = {},
) => {
  const discovery = cleanup.use(runDiscovery(podman, proxy.url, options));
  cleanup.defer(() => expect(discovery.failures).toEqual([]));
  return discovery;
};
const found = (discovery: RunningDiscovery, name: string) =>
  discovery.directory.find('default', name)?.map(({ containerId }) => containerId);
const another = (containerId: string, changes: Partial<Endpoint> = {}): Endpoint => ({
  containerId,
  name: containerId,
  namespace: 'default',
  hostMgmtIp: '100.64.0.2',
  address: '10.231.7.7',
  state: 'running',
  health: 'unknown',
  ...changes,
});

describe('with a real Podman', () => {
  const machine = new AsyncDisposableStack();
  let host: MeshHost;
  beforeAll(async () => {
    host = machine.use(await startMeshHost(machine.use(await scratchFolder()).path));
  }, 60_000);
  afterAll(() => machine.disposeAsync());
  afterEach(async () => {
    for (const { id } of await host.podman.listContainers(forever))
      await host.podman.containers.remove(id, true, forever);
  });

  /** Podman's word on this host, against Corrosion's rows and the directory's answers. */
  const isTrue = (discovery: RunningDiscovery, others: Endpoint[] = []) =>
    soon(async () => {
      const truth = new Map<string, Endpoint>(others.map(row => [row.containerId, row]));
      for (const { id, name, state, health, addresses } of await host.podman.host.containers(forever))
        truth.set(id, {
          containerId: id,
          name,
          namespace: 'default',
          hostMgmtIp,
          state,
          health,
          address: addresses['mesh'] ?? '',
        });
      expect(await rowsOf(standIn.url)).toEqual(truth);
      expect(discovery.directory.stats()).toMatchObject({ rows: truth.size, connected: true });
      for (const { containerId, name, state } of truth.values())
        expect([name, found(discovery, name)]).toEqual([
          name,
          state === 'running' ? [containerId] : undefined,
        ]);
    });

  it('Podman lists nothing while it exports a container: what happens to the others is known', async () => {
    let isListed = true;
    const unlisted = Promise.withResolvers<never>();
    const { lifecycle, networks } = host.podman;
    const list: typeof lifecycle.list = signal => (isListed ? lifecycle.list(signal) : unlisted.promise);
    const discovery = start({ networks, lifecycle: { ...lifecycle, list } });
    cleanup.defer(async () =>
      unlisted.reject(new VerbError('podman_unavailable', 'the lock of a container is held')),
    );
    const a = await host.run('a');
    await soon(() => expect(found(discovery, 'a')).toEqual([a]));
    isListed = false;
    await host.act('POST', `/containers/${a}/kill`);
    await soon(() => expect(found(discovery, 'a')).toBeUndefined());
    const b = await host.run('b');
    await soon(() => expect(found(discovery, 'b')).toEqual([b]));
  });

  it('Corrosion is away while containers are replaced one by one: names go on being answered', async () => {
    const discovery = start(host.podman);
    const olds = new Map<string, string>();
    for (const name of ['a', 'b', 'c', 'd']) olds.set(name, await host.run(name));
    await isTrue(discovery);
    await standIn.stop();
    await soon(() => expect(discovery.directory.stats().connected).toBe(false));
    for (const [name, old] of olds) {
      await host.act('DELETE', `/containers/${old}?force=true`);
      await host.run(name);
      expect(found(discovery, name)).toEqual([old]);
    }
    expect(discovery.directory.stats().ageMs).toBeGreaterThan(0);
    await standIn.start();
    await isTrue(discovery);
  });

  it.each<[string, Fault]>([
    [
      'answers 500',
      (_asked, _pass, answer) => {
        answer.writeHead(500);
        answer.end('{"results":[{"error":"database is locked"}]}');
      },
    ],
    [
      'answers half a line',
      (_asked, _pass, answer) => {
        answer.write('{"row":[1,["half');
        setImmediate(() => answer.destroy());
      },
    ],
    [
      'does what it is asked, and its answer is lost',
      (_asked, pass, answer) => pass(() => '').then(() => void answer.destroy()),
    ],
    ['says nothing', () => {}],
  ])('Corrosion %s to everything for a while', async (_, fault) => {
    const discovery = start(host.podman, { timeoutMs: 500 });
    const a = await host.run('a');
    await host.run('b');
    await isTrue(discovery);
    proxy.fault = fault;
    proxy.cut();
    await host.act('DELETE', `/containers/${a}?force=true`);
    await host.run('c');
    const failures = discovery.stats().sync.corrosionFailures;
    await soon(() => expect(discovery.stats().sync.corrosionFailures).toBeGreaterThan(failures + 1));
    expect(found(discovery, 'b')).toHaveLength(1);
    proxy.fault = undefined;
    proxy.cut();
    await isTrue(discovery);
  });

  it('Corrosion skips a change', async () => {
    const discovery = start(host.podman);
    await host.run('a');
    await isTrue(discovery);
    // As one whose news was lost on the way, with whatever it told.
    proxy.fault = async (asked, pass) => {
      if (!(asked.url ?? '').startsWith('/v1/subscriptions')) return pass();
      await pass(line => (line.includes('"lost"') ? '{"heartbeat":true}' : line));
    };
    proxy.cut();
    await host.run('lost');
    await soon(async () =>
      expect([...(await rowsOf(standIn.url)).values()].map(({ name }) => name)).toContain('lost'),
    );
    await host.run('b');
    proxy.fault = undefined;
    await isTrue(discovery);
  });

  it('Corrosion comes back with a database of an hour ago', async () => {
    const discovery = start(host.podman);
    const direct = createCorrosion({ url: standIn.url, tokenFile: undefined });
    const a = await host.run('a');
    await host.run('b');
    await direct.execute([upsertEndpoint(another('theirs'), 1)], forever);
    await isTrue(discovery, [another('theirs')]);
    await standIn.stop();
    standIn.backUp();
    await standIn.start();
    await host.act('DELETE', `/containers/${a}?force=true`);
    await host.run('c');
    await isTrue(discovery, [another('theirs')]);
    await standIn.stop();
    standIn.restore();
    await standIn.start();
    await isTrue(discovery, [another('theirs')]);
  });

  it("Corrosion's database is restored while coold is stopped: this is reported until the database is created anew", async () => {
    const versionFile = { path: join(folder, 'version.json'), writeEveryMs: 20 };
    const run = () => runDiscovery(host.podman, proxy.url, { versionFile });
    const isKept = async (version: number) =>
      soon(async () => expect(await readVersion(versionFile.path)).toMatchObject({ version }));
    {
      await using discovery = run();
      await isTrue(discovery);
      // The sign of life of this host.
      await isKept(1);
      await standIn.stop();
      standIn.backUp();
      await standIn.start();
      await host.run('a');
      await isTrue(discovery);
      await soon(async () => expect((await readVersion(versionFile.path))?.version).toBeGreaterThan(1));
    }
    await standIn.stop();
    standIn.restore();
    await standIn.start();
    {
      await using discovery = run();
      await isTrue(discovery);
      await soon(() => expect(discovery.stats().databasePutBack).toBe(true));
      await soon(async () => expect(await readVersion(versionFile.path)).toMatchObject({ isPutBack: true }));
    }
    await using discovery = run();
    await isTrue(discovery);
    expect(discovery.stats().databasePutBack).toBe(true);
    await standIn.stop();
    await rm(join(folder, 'corrosion'), { recursive: true });
    await standIn.start();
    await isTrue(discovery);
    await soon(() => expect(discovery.stats().databasePutBack).toBe(false));
  });

  it('Corrosion takes a subscription up again with rows that its database has no more', async () => {
    const discovery = start(host.podman);
    const a = await host.run('a');
    const b = await host.run('b');
    await isTrue(discovery);
    // The rows of a subscription are kept in a file of their own, so a database that was put back tells no change.
    const isOld = Promise.withResolvers<void>();
    proxy.fault = async (asked, pass) => {
      if (asked.method !== 'GET') return pass();
      await isOld.promise;
      return pass(line => (line.includes('"change"') ? '{"heartbeat":true}' : line));
    };
    proxy.cut();
    const direct = createCorrosion({ url: standIn.url, tokenFile: undefined });
    const older: Statement[] = [
      upsertEndpoint(another(a, { hostMgmtIp, state: 'exited' }), 1),
      ['DELETE FROM service_endpoints WHERE container_id = ?', [b]],
    ];
    await direct.execute(older, forever);
    isOld.resolve();
    await isTrue(discovery);
    // One a table, at the start: nothing was loaded anew.
    expect(proxy.seen.filter(line => line.startsWith('POST /v1/subscriptions'))).toHaveLength(4);
  });

  it('Corrosion sends old rows in a subscription, and somebody else removes a row of this host', async () => {
    const discovery = start(host.podman);
    const a = await host.run('a');
    const b = await host.run('b');
    await isTrue(discovery);
    proxy.fault = (asked, pass, answer) => {
      if (asked.method === 'GET') {
        // As after a crash: the agent knows the subscription no more, and all rows are asked for.
        answer.writeHead(404);
        return void answer.end();
      }
      return asked.url === '/v1/subscriptions'
        ? pass(line => (line.includes(a) ? '{"heartbeat":true}' : line.replace('"running"', '"exited"')))
        : pass();
    };
    await standIn.stop();
    await standIn.start();
    await soon(() => expect([found(discovery, 'a'), found(discovery, 'b')]).toEqual([undefined, undefined]));
    proxy.fault = undefined;
    await isTrue(discovery);
    const direct = createCorrosion({ url: standIn.url, tokenFile: undefined });
    await direct.execute([['DELETE FROM service_endpoints WHERE container_id = ?', [b]]], forever);
    await isTrue(discovery);
  });

  it('the clock jumps back by an hour', async () => {
    let clock = Date.now();
    const discovery = start(host.podman, { clock: () => clock });
    const a = await host.run('a');
    await isTrue(discovery);
    clock -= 3_600_000;
    await host.act('POST', `/containers/${a}/stop?timeout=0`);
    await isTrue(discovery);
    await host.act('POST', `/containers/${a}/start`);
    await host.run('b');
    await isTrue(discovery);
  });
});

describe('a Podman of its own', () => {
  it('restarts, with everything that it ran: names stay while it is away', async () => {
    const host = cleanup.use(await startMeshHost(folder));
    const discovery = start(host.podman);
    const a = await host.run('a');
    const b = await host.run('b');
    await soon(() => expect([found(discovery, 'a'), found(discovery, 'b')]).toEqual([[a], [b]]));
    await host.service.kill();
    await soon(() => expect(discovery.stats().sync.podmanFailures).toBeGreaterThan(1));
    expect([found(discovery, 'a'), found(discovery, 'b')]).toEqual([[a], [b]]);
    cleanup.use(await startPodman(dirname(host.service.socketPath)));
    await soon(() => expect([found(discovery, 'a'), found(discovery, 'b')]).toEqual([undefined, undefined]));
    await host.podman.containers.start(a, forever);
    await host.podman.containers.remove(b, true, forever);
    await soon(async () => {
      expect(found(discovery, 'a')).toEqual([a]);
      expect([...(await rowsOf(standIn.url)).keys()]).toEqual([a]);
    });
  });
});

/** A fake, because no machine of the tests can run ten thousand containers; it answers at once and does as it is told. */
function createManyContainers(count: number) {
  const states = new Map(Array.from({ length: count }, (_, n) => [`c${n}`, 'running']));
  let tell = (_id: string) => {};
  let failing: string | undefined;
  return {
    states,
    inspected: 0,
    event: (id: string) => tell(id),
    fail(id: string | undefined) {
      failing = id;
    },
    lifecycle: {
      list: async () => [...states].map(([id, state]) => ({ id, fingerprint: state })),
      async facts(this: void, id: string): Promise<ContainerFacts> {
        const state = states.get(id);
        if (state === undefined) throw new VerbError('container_not_found', 'no such container');
        if (id === failing) throw new VerbError('podman_failed', 'podman: this one is broken');
        const networks = new Map([['mesh', state === 'running' ? '10.231.1.9' : '']]);
        return { id, name: id, state, health: 'unknown', networks, aliases: new Map() };
      },
      events: (onContainer: (id: string, about: 'change') => void, signal: AbortSignal) => {
        tell = id => onContainer(id, 'change');
        return new Promise<void>(resolve =>
          signal.addEventListener('abort', () => resolve(), { once: true }),
        );
      },
    },
    networks: { list: async () => [] },
  };
}

describe('ten thousand containers', () => {
  it('flap, here and on another host: in the end every row is right', async () => {
    const many = createManyContainers(10_000);
    const discovery = start(many, { timeoutMs: 30_000 });
    await soon(() => expect(discovery.directory.stats()).toMatchObject({ rows: 10_000, connected: true }));
    const direct = createCorrosion({ url: standIn.url, tokenFile: undefined, timeoutMs: 30_000 });
    for (const round of [1, 2, 3]) {
      for (const [index, id] of [...many.states.keys()].entries()) {
        if (index % 10 === round) many.states.delete(id);
        else many.states.set(id, (index + round) % 2 === 0 ? 'running' : 'exited');
        many.event(id);
      }
      const theirs = Array.from({ length: 2000 }, (_, n) =>
        another(`t${n}`, { state: (n + round) % 2 === 0 ? 'running' : 'exited' }),
      );
      for (let from = 0; from < theirs.length; from += 500)
        await direct.execute(
          theirs.slice(from, from + 500).map(row => upsertEndpoint(row, round)),
          forever,
        );
    }
    await soon(async () => {
      expect(discovery.directory.stats()).toMatchObject({ rows: many.states.size + 2000, connected: true });
      const rows = await rowsOf(standIn.url);
      const own = [...rows.values()].filter(row => row.hostMgmtIp === hostMgmtIp);
      expect(new Map(own.map(({ containerId, state }) => [containerId, state]))).toEqual(many.states);
      for (const { containerId, state, name } of rows.values())
        expect(found(discovery, name)).toEqual(state === 'running' ? [containerId] : undefined);
    });
  }, 120_000);

  it('one of which cannot be inspected: its row stays, and all others follow', async () => {
    const many = createManyContainers(3);
    const direct = createCorrosion({ url: standIn.url, tokenFile: undefined });
    await direct.execute([upsertEndpoint(another('c1', { hostMgmtIp }), 1)], forever);
    many.fail('c1');
    const discovery = start(many);
    await soon(() => expect([found(discovery, 'c0'), found(discovery, 'c1')]).toEqual([['c0'], ['c1']]));
    many.fail(undefined);
    many.states.set('c1', 'exited');
    await soon(() => expect(found(discovery, 'c1')).toBeUndefined());
  });

  it('while Corrosion fails: it is asked at ticks alone, however much happens', async () => {
    const many = createManyContainers(100);
    proxy.fault = (_asked, _pass, answer) => {
      answer.writeHead(500);
      answer.end('{"error":"no"}');
    };
    const discovery = start(many, { intervalMs: 60_000 });
    const asked = () => proxy.seen.filter(line => line.includes('/v1/queries')).length;
    await soon(() => expect(discovery.stats().sync.corrosionFailures).toBe(1));
    for (let round = 0; round < 5; round += 1) {
      for (const id of many.states.keys()) many.event(id);
      await soon(() => expect(proxy.seen.length).toBeGreaterThan(round * 2));
    }
    expect(asked()).toBe(1);
    expect(discovery.stats().sync.corrosionFailures).toBe(1);
  });
});

describe('the log', () => {
  const refuses = (status: number, body: string): Fault => {
    return (_asked, _pass, answer) => {
      answer.writeHead(status);
      answer.end(body);
    };
  };

  it.each<[string, Fault, RegExp, RegExp]>([
    [
      'refuses the token',
      refuses(401, ''),
      /^corrosion refuses requests/,
      /^corrosion answered 401: it wants a token/,
    ],
    [
      'lacks the table',
      refuses(400, '{"error":"no such table: service_endpoints"}'),
      /^corrosion refuses requests/,
      /^corrosion answered 400: no such table: service_endpoints; install the schema file/,
    ],
    [
      'is not there',
      (_asked, _pass, answer) => void answer.destroy(),
      /^corrosion does not answer/,
      /^corrosion at http/,
    ],
  ])('says what to do about a Corrosion that %s, and status too', async (_, fault, message, reason) => {
    proxy.fault = fault;
    const { log, recent } = rememberLines(testLog(), 20);
    const discovery = start(createManyContainers(1), { log });
    const expected = { message: expect.stringMatching(message), reason: expect.stringMatching(reason) };
    await soon(() => expect(recent()).toContainEqual(expect.objectContaining(expected)));
    await soon(() => expect(discovery.directory.stats().problem).toMatch(reason));
    proxy.fault = undefined;
    await soon(() =>
      expect(discovery.directory.stats()).toMatchObject({ connected: true, problem: undefined }),
    );
  });
});

describe('what other hosts write', () => {
  it('costs no name but its own, stops nothing, and is left to them', async () => {
    const many = createManyContainers(1);
    const direct = createCorrosion({ url: standIn.url, tokenFile: undefined });
    const hostile = [
      another('ipv6', { address: 'fd00::1' }),
      another('garbage', { address: '10.0.0.1\n10.0.0.2' }),
      another('n'.repeat(10_000)),
      another('a.b'),
      another('line\nbreak'),
      another('\u0000\u2028'),
      another('__proto__', { namespace: 'constructor' }),
      another('elsewhere', { namespace: 'no such namespace'.repeat(100) }),
      another('nowhere', { hostMgmtIp: 'x/0,'.repeat(1000) }),
    ];
    const good = another('good');
    const discovery = start(many);
    await soon(() => expect(found(discovery, 'c0')).toEqual(['c0']));
    const before = await rowsOf(standIn.url);
    await direct.execute(
      [...hostile, good].map(row => upsertEndpoint(row, 1)),
      forever,
    );
    // Types that the columns do not have: SQLite takes them all the same.
    const spoil =
      "UPDATE service_endpoints SET state = X'00ff', container_ip = X'' WHERE container_id = 'ipv6'";
    await direct.execute([[spoil, []]], forever);
    await soon(() => expect(found(discovery, 'good')).toEqual(['good']));
    expect(found(discovery, 'c0')).toEqual(['c0']);
    for (const { name, namespace } of hostile.filter(({ containerId }) => containerId !== 'nowhere'))
      if (namespace === 'default') expect(found(discovery, name), name.slice(0, 20)).toBeUndefined();
    expect(discovery.directory.find('constructor', '__proto__')).toHaveLength(1);
    expect(discovery.directory.stats().connected).toBe(true);
    // Loaded anew, it is no different; and nothing but this host's own rows was ever touched.
    await standIn.stop();
    await standIn.start();
    many.states.set('c1', 'running');
    many.event('c1');
    await soon(() => expect(found(discovery, 'c1')).toEqual(['c1']));
    expect(found(discovery, 'good')).toEqual(['good']);
    const count = new Map<unknown, number>();
    await direct.query(
      ['SELECT host_mgmt_ip, COUNT(*) FROM service_endpoints GROUP BY host_mgmt_ip', []],
      ([host, rows]) => void count.set(host, Number(rows)),
      forever,
    );
    expect(count.get(hostMgmtIp)).toBe(before.size + 1);
    expect(count.get('100.64.0.2')).toBe(hostile.length);
  });
});
