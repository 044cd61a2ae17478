import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import { type PodmanService, scratchFolder, startPodman } from '@coold/testbed';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { caller, silent } from '../../test/caller.ts';
import { noFirewall, noSlices, undenied } from '../../test/no-firewall.ts';
import { type Rule, readRule } from '../firewall/rule/rule.ts';
import { createPodman } from '../podman/client.ts';
import { noRanges } from './network/mesh-ranges.ts';
import { verbHandlers } from './verbs.ts';

const image = 'localhost/tiny:latest';

interface Inspected {
  State: { Status: string };
  Config: Record<string, unknown>;
  HostConfig: Record<string, unknown>;
  Mounts: Record<string, unknown>[];
  NetworkSettings: { Networks: Record<string, { IPAddress: string; Aliases: string[] }> };
  EffectiveCaps: string[];
}

describe('containers of a real Podman', () => {
  const stack = new AsyncDisposableStack();
  let podman: PodmanService;
  let call: ReturnType<typeof caller>;
  /** Asks the same Podman by another client than coold's, in Docker's API. */
  let docker: Docker;
  let root: string;
  const rules: Rule[] = [];
  beforeAll(async () => {
    root = stack.use(await scratchFolder()).path;
    podman = stack.use(await startPodman(join(root, 'podman')));
    docker = new Docker({ socketPath: podman.socketPath });
    await podman.ensureTinyImage();
    await mkdir(join(root, 'data/app'), { recursive: true });
    const allowedMountSources = [join(root, 'data')];
    const shop = { name: 'shop', network: 'shop-mesh', gateway: '10.210.5.1' };
    const mesh = { hostMgmtIp: '100.64.0.1', namespaces: [shop], zone: 'coolify.internal' };
    const client = createPodman(podman.socketPath);
    const firewall = { ...noFirewall, store: { ...noFirewall.store, rules: () => rules } };
    // As discovery knows it before it has looked at any container.
    const known = { facts: () => undefined };
    const hostPorts = () => Promise.resolve([{ port: 6443, use: 'the broker' }]);
    const options = {
      version: '1',
      allowedMountSources,
      mesh,
      known,
      hostPorts,
      meshRanges: () => Promise.resolve(noRanges),
      firewall,
      slices: noSlices,
      log: silent,
    };
    const namespaceNetworks = undenied(client.networks);
    call = caller(verbHandlers(client, { ...options, namespaceNetworks }));
    await call('networks.create', { name: 'shop', namespace: 'shop', subnet: '10.210.5.0/24' });
    await call('networks.create', { name: 'plain', subnet: '10.210.6.0/24' });
  });
  afterAll(() => stack.disposeAsync());

  const inspect = async (id: string) => (await call('containers.inspect', { id })) as Inspected;
  const told = (id: string) => docker.getContainer(id).inspect();

  it('live from creation to removal, by id and by name', async () => {
    const { id } = (await call('containers.create', { image, name: 'life', stop_timeout: 0 })) as {
      id: string;
    };
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect((await inspect('life')).State.Status).toBe('created');
    expect(await told(id)).toMatchObject({ Id: id, Name: '/life', State: { Running: false } });
    expect(await call('containers.start', { id })).toBeNull();
    expect(await call('containers.start', { id: 'life' })).toBeNull();
    expect((await inspect(id)).State.Status).toBe('running');
    const { State: begun } = await told(id);
    expect(begun).toMatchObject({ Status: 'running', Running: true });
    await expect(call('containers.delete', { id })).rejects.toMatchObject({ code: 409 });
    expect(await call('containers.stop', { id, timeout: 0 })).toBeNull();
    expect((await told(id)).State).toMatchObject({ Status: 'exited', Running: false });
    expect(await call('containers.stop', { id, timeout: 0 })).toBeNull();
    expect(await call('containers.restart', { id })).toBeNull();
    expect((await inspect(id)).State.Status).toBe('running');
    const { State: again } = await told(id);
    expect(again.Running).toBe(true);
    expect(again.StartedAt).not.toBe(begun.StartedAt);
    expect(await call('containers.delete', { id, force: true })).toBeNull();
    await expect(told(id)).rejects.toMatchObject({ statusCode: 404 });
    await expect(call('containers.inspect', { id })).rejects.toMatchObject({ code: 404 });
    for (const verb of ['start', 'stop', 'restart', 'delete', 'healthcheck'])
      await expect(call(`containers.${verb}`, { id })).rejects.toMatchObject({ code: 404 });
  });

  it('that take their time to stop are killed by who has less', async () => {
    const script = 'trap "" TERM; while :; do /bin/busybox sleep 0.1; done';
    const command = ['sh', '-c', script];
    await call('containers.create', { image, name: 'stubborn', command, stop_timeout: 600 });
    await call('containers.start', { id: 'stubborn' });
    const patient = call('containers.stop', { id: 'stubborn' });
    expect(await call('containers.stop', { id: 'stubborn', timeout: 0 })).toBeNull();
    expect(await patient).toBeNull();
    expect((await inspect('stubborn')).State.Status).toBe('exited');
  });

  it('that ignore SIGTERM are restarted and removed after the timeout of the request', async () => {
    const command = ['sh', '-c', 'trap "" TERM; while :; do /bin/busybox sleep 0.1; done'];
    await call('containers.create', { image, name: 'deaf', command, stop_timeout: 600 });
    await call('containers.start', { id: 'deaf' });
    const { Pid: before } = (await inspect('deaf')).State as { Pid?: number };
    expect(await call('containers.restart', { id: 'deaf', timeout: 1 })).toBeNull();
    const { Pid: after, Status } = (await inspect('deaf')).State as { Pid?: number; Status: string };
    expect(Status).toBe('running');
    expect(after).not.toBe(before);
    expect(await call('containers.delete', { id: 'deaf', force: true, timeout: 1 })).toBeNull();
    await expect(call('containers.inspect', { id: 'deaf' })).rejects.toMatchObject({ code: 404 });
  }, 60_000);

  it('are on no network whose id only begins as what was named', async () => {
    const found = await podman.request({ path: '/v4.0.0/libpod/networks/plain/json' });
    const network = (found.json() as { id: string }).id.slice(0, 4);
    for (const fields of [{ network }, { networks: ['shop', network] }])
      await expect(call('containers.create', { image, name: 'astray', ...fields })).rejects.toMatchObject({
        code: 404,
        field: 'network' in fields ? 'network' : 'networks[1]',
      });
  });

  it('that are stopped or removed twice at once are so once', async () => {
    const id = await podman.runTiny('twice');
    const stops = [1, 2].map(() => call('containers.stop', { id, timeout: 1 }));
    expect(await Promise.all(stops)).toEqual([null, null]);
    const removals = [1, 2].map(() => call('containers.delete', { id }));
    expect(await Promise.all(removals)).toEqual([null, null]);
    await expect(told(id)).rejects.toMatchObject({ statusCode: 404 });
  });

  it('get what the spec says', async () => {
    await call('containers.create', {
      image,
      name: 'full',
      entrypoint: ['/bin/busybox'],
      command: ['sleep', '60'],
      env: { A: 'b=c', EMPTY: '' },
      labels: { app: 'shop' },
      user: '1000:1000',
      workdir: '/bin',
      network: 'shop',
      ip: '10.210.5.9',
      network_aliases: ['web'],
      mounts: [
        { volume: 'vol', target: '/v' },
        { bind: `${root}/data/../data/app`, target: '/b', read_only: true },
        { tmpfs: true, target: '/t' },
      ],
      ports: [{ host_ip: '127.0.0.1', host_port: 8099, container_port: 80 }],
      healthcheck: { test: ['CMD', '/bin/busybox', 'true'], interval: '5s', timeout: 2, retries: 2 },
      restart_policy: 'on-failure:4',
      stop_signal: 'SIGINT',
      stop_timeout: 3,
      resources: { memory: 64_000_000, cpus: 0.5, pids: 50 },
      cap_drop: ['ALL'],
      cap_add: ['CHOWN'],
      security_opt: ['no-new-privileges'],
    });
    await call('containers.start', { id: 'full' });
    const { Config, HostConfig, Mounts, NetworkSettings, EffectiveCaps } = await inspect('full');
    expect(Config).toMatchObject({
      Cmd: ['sleep', '60'],
      User: '1000:1000',
      WorkingDir: '/bin',
      StopSignal: 2,
      StopTimeout: 3,
      Env: expect.arrayContaining(['A=b=c', 'EMPTY=']) as string[],
      Labels: expect.objectContaining({ app: 'shop' }) as object,
      Healthcheck: { Test: ['CMD', '/bin/busybox', 'true'], Interval: 5e9, Timeout: 2e9, Retries: 2 },
    });
    expect(HostConfig).toMatchObject({
      Memory: 64_000_000,
      CpuQuota: 50_000,
      CpuPeriod: 100_000,
      PidsLimit: 50,
      Privileged: false,
      RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 4 },
      PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '8099' }] },
      SecurityOpt: ['no-new-privileges'],
      Dns: ['10.210.5.1'],
      DnsSearch: ['shop.coolify.internal', 'coolify.internal'],
    });
    expect(Mounts).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ Type: 'volume', Name: 'vol', Destination: '/v', RW: true }),
        expect.objectContaining({
          Type: 'bind',
          Source: join(root, 'data/app'),
          Destination: '/b',
          RW: false,
        }),
      ]),
    );
    expect(NetworkSettings.Networks['shop']).toMatchObject({
      IPAddress: '10.210.5.9',
      Aliases: expect.arrayContaining(['web']) as string[],
    });
    expect(EffectiveCaps).toEqual(['CAP_CHOWN']);
    expect(await told('full')).toMatchObject({
      Config: {
        Entrypoint: ['/bin/busybox'],
        Cmd: ['sleep', '60'],
        User: '1000:1000',
        WorkingDir: '/bin',
        Labels: expect.objectContaining({ app: 'shop' }) as object,
      },
      HostConfig: {
        Memory: 64_000_000,
        NanoCpus: 500_000_000,
        PidsLimit: 50,
        Privileged: false,
        Dns: ['10.210.5.1'],
        NetworkMode: 'bridge',
        DnsSearch: ['shop.coolify.internal', 'coolify.internal'],
        RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 4 },
        PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '8099' }] },
      },
      Mounts: expect.arrayContaining([
        expect.objectContaining({ Source: join(root, 'data/app'), Destination: '/b', RW: false }),
      ]) as object[],
      NetworkSettings: { Networks: { shop: { IPAddress: '10.210.5.9' } } },
    });
    expect(await call('containers.healthcheck', { id: 'full' })).toEqual({
      status: 'healthy',
      exit_code: 0,
      log: '',
    });
    expect(await call('host.containers')).toContainEqual(
      expect.objectContaining({ name: 'full', addresses: { shop: '10.210.5.9' } }),
    );
    await call('containers.delete', { id: 'full', force: true });
  });

  /** The addresses of containers, by name, as the host verb tells them: what Podman gave to those that run. */
  const addressesOf = async (...names: string[]) => {
    const all = (await call('host.containers')) as { name: string; addresses: Record<string, string> }[];
    return names.map(name => all.find(container => container.name === name)?.addresses['shop']);
  };
  const start = async (...names: string[]) => {
    for (const id of names) await call('containers.start', { id });
  };
  const stop = async (...names: string[]) => {
    for (const id of names) await call('containers.stop', { id, timeout: 0 });
  };
  const remove = async (...names: string[]) => {
    for (const id of names) await call('containers.delete', { id, force: true });
  };

  it('of a namespace keep the address that they were created with, whatever order they start in', async () => {
    for (const name of ['first', 'second', 'third'])
      await call('containers.create', { image, name, network: 'shop', stop_timeout: 0 });
    await start('third', 'first', 'second');
    const addresses = await addressesOf('first', 'second', 'third');
    expect(addresses).toEqual(['10.210.5.3', '10.210.5.4', '10.210.5.5']);
    await stop('first', 'second', 'third');
    await start('second', 'third', 'first');
    expect(await addressesOf('first', 'second', 'third')).toEqual(addresses);
    for (const id of ['first', 'second']) await call('containers.restart', { id });
    expect(await addressesOf('first', 'second', 'third')).toEqual(addresses);
    await remove('first', 'second', 'third');
  });

  it('get no address of a stopped container, or of one that an allow rule names', async () => {
    await call('containers.create', { image, name: 'asleep', network: 'shop', stop_timeout: 0 });
    rules.push(readRule({ src: '10.210.5.4', dst: '10.210.9.9' }));
    rules.push(readRule({ src: '10.210.9.9', dst: '10.210.5.5', proto: 'tcp', port: 80 }));
    await call('containers.create', { image, name: 'awake', network: 'shop', stop_timeout: 0 });
    await start('awake');
    expect(await addressesOf('awake')).toEqual(['10.210.5.6']);
    await call('containers.create', {
      image,
      name: 'named',
      network: 'shop',
      ip: '10.210.5.4',
      stop_timeout: 0,
    });
    await start('asleep', 'named');
    expect(await addressesOf('asleep', 'named')).toEqual(['10.210.5.3', '10.210.5.4']);
    rules.length = 0;
    await remove('asleep', 'awake', 'named');
  });

  it('that are created at once get an address each', async () => {
    const names = Array.from({ length: 8 }, (_, index) => `swarm-${index}`);
    await Promise.all(
      names.map(name => call('containers.create', { image, name, network: 'shop', stop_timeout: 0 })),
    );
    await start(...names);
    expect(new Set(await addressesOf(...names)).size).toBe(names.length);
    await remove(...names);
  });

  it('are listed by name, by what they are, and page by page', async () => {
    await call('containers.create', {
      image,
      name: 'list-b',
      network: 'shop',
      labels: { app: 'shop', tier: 'web=1' },
      stop_timeout: 0,
      network_aliases: ['www', 'b_2'],
      ports: [{ host_port: 8097, container_port: 80 }],
    });
    await call('containers.create', { image, name: 'list-a', labels: { app: 'shop' } });
    await start('list-b');
    const list = async (fields: object) =>
      ((await call('containers.list', fields)) as { name: string }[]).map(({ name }) => name);
    expect(await list({ label: ['app=shop'] })).toEqual(['list-a', 'list-b']);
    expect(await list({ label: ['app', 'tier=web=1'] })).toEqual(['list-b']);
    expect(await list({ label: ['app=sho'] })).toEqual([]);
    expect(await list({ label: ['app'], state: 'created' })).toEqual(['list-a']);
    expect(await list({ name: 'list-b' })).toEqual(['list-b']);
    expect(await list({ label: ['app'], namespace: 'shop' })).toEqual(['list-b']);
    expect(await list({ label: ['app'], limit: 1 })).toEqual(['list-a']);
    expect(await list({ label: ['app'], limit: 1, after: 'list-a' })).toEqual(['list-b']);
    expect(await list({ label: ['app'], limit: 1, after: 'list-b' })).toEqual([]);
    // Behind one that another program gave a name longer than coold would, and that is gone by then.
    const long = `list-a${'x'.repeat(200)}`;
    const json = { name: long, image, labels: { app: 'shop' } };
    await podman.request({ method: 'POST', path: '/v4.0.0/libpod/containers/create', json });
    expect(await list({ label: ['app'], limit: 2 })).toEqual(['list-a', long]);
    await podman.request({ method: 'DELETE', path: `/v4.0.0/libpod/containers/${long}?force=true` });
    expect(await list({ label: ['app'], limit: 2, after: long })).toEqual(['list-b']);
    const [listed] = (await call('containers.list', { name: 'list-b' })) as Record<string, unknown>[];
    const { Id, Created, Image } = (await inspect('list-b')) as unknown as Record<string, string>;
    const [address] = await addressesOf('list-b');
    expect(listed).toEqual({
      id: Id,
      name: 'list-b',
      image,
      image_id: Image,
      state: 'running',
      health: 'unknown',
      created: Math.floor(Date.parse(String(Created)) / 1000),
      labels: expect.objectContaining({ app: 'shop', tier: 'web=1' }) as object,
      namespace: 'shop',
      networks: ['shop'],
      addresses: { shop: address },
      aliases: ['b_2', 'www'],
      ports: [{ host_ip: '', host_port: 8097, container_port: 80, protocol: 'tcp' }],
    });
    for (const [fields, field] of [
      [{ limit: 0 }, 'limit'],
      [{ limit: 1001 }, 'limit'],
      [{ label: ['=x'] }, 'label[0]'],
      [{ namespace: 'A_b' }, 'namespace'],
      [{ state: 'RUNNING!' }, 'state'],
      [{ after: '../x' }, 'after'],
    ] as const)
      await expect(call('containers.list', fields)).rejects.toMatchObject({ code: 400, field });
    await remove('list-a', 'list-b');
  });

  it('that are stopped still have their address in what discovery reads', async () => {
    await call('containers.create', { image, name: 'known', network: 'shop', stop_timeout: 0 });
    const { Id: id } = (await inspect('known')) as unknown as { Id: string };
    const { lifecycle } = createPodman(podman.socketPath);
    const facts = await lifecycle.facts(id, AbortSignal.timeout(5000));
    expect(facts.networks.get('shop')).toMatch(/^10\.210\.5\.\d+$/);
    expect((await inspect('known')).Config['Labels']).toMatchObject({
      'io.coolify.address.shop': facts.networks.get('shop'),
    });
    await remove('known');
  });

  describe('whose mounts would lie over the kernel’s', () => {
    const build = async (name: string, lines: string[]) => {
      const folder = join(root, name);
      await mkdir(join(folder, 'links'), { recursive: true });
      await writeFile(join(folder, 'Dockerfile'), ['FROM localhost/tiny:latest', ...lines, ''].join('\n'));
      await symlink('proc', join(folder, 'links/p'));
      await symlink('/sys/kernel', join(folder, 'links/q'));
      await runChild('tar', ['-C', folder, '-cf', `${folder}.tar`, '.'], { timeoutMs: 20_000 });
      const query = new URLSearchParams({ t: `localhost/${name}` });
      const built = await podman.request({
        method: 'POST',
        path: `/v4.0.0/libpod/build?${query}`,
        body: await readFile(`${folder}.tar`),
        headers: { 'content-type': 'application/x-tar' },
      });
      if (built.status !== 200 || built.text.includes('"error"')) throw new Error(built.text);
      return `localhost/${name}:latest`;
    };

    it.each([
      ['dots', ['VOLUME /foo/../proc']],
      ['linked', ['COPY links /', 'VOLUME /p']],
      ['deep', ['COPY links /srv/', 'VOLUME /srv/q/x']],
    ])('by a volume of their image are denied: %s', async (name, lines) => {
      const denied = await build(`kernel-${name}`, lines);
      await expect(call('containers.create', { image: denied, name: `over-${name}` })).rejects.toMatchObject({
        code: 403,
        field: 'image',
      });
      await expect(inspect(`over-${name}`)).rejects.toMatchObject({ code: 404 });
    });

    it('by a mount of their request are denied, before and after they ran', async () => {
      const linked = await build('kernel-request', ['COPY links /']);
      for (const mount of [{ tmpfs: true }, { volume: 'over' }])
        await expect(
          call('containers.create', { image: linked, name: 'over', mounts: [{ ...mount, target: '/p/1' }] }),
        ).rejects.toMatchObject({ code: 403, field: 'mounts[0].target' });
      // What the program itself puts in the way, once it runs, counts at the next start.
      const script =
        'mkdir -p /a; /bin/busybox mv /a /z; /bin/busybox mkdir /a; /bin/busybox ln -s /proc /a/b; exec /bin/busybox sleep 600';
      const mounts = [{ volume: 'within', target: '/a/b' }];
      await call('containers.create', {
        image,
        name: 'turned',
        command: ['sh', '-c', script],
        mounts,
        stop_timeout: 0,
      });
      await start('turned');
      await expect
        .poll(() => call('containers.exec', { id: 'turned', cmd: ['/bin/busybox', 'readlink', '/a/b'] }))
        .toMatchObject({ output: '/proc\n' });
      await stop('turned');
      for (const verb of ['containers.start', 'containers.restart'])
        await expect(call(verb, { id: 'turned' })).rejects.toMatchObject({ code: 403, field: 'id' });
      await remove('turned');
    });

    it('are distinguished from similar names', async () => {
      const fine = await build('kernel-fine', ['VOLUME /processes', 'VOLUME /srv/proc']);
      await call('containers.create', {
        image: fine,
        name: 'fine',
        mounts: [{ tmpfs: true, target: '/a/sys' }],
      });
      await start('fine');
      await remove('fine');
    });
  });

  it('with a resolver of their own, or without a namespace, are left with it', async () => {
    await call('containers.create', {
      image,
      name: 'own',
      network: 'shop',
      dns: ['9.9.9.9'],
      dns_search: ['a.b'],
    });
    expect((await inspect('own')).HostConfig).toMatchObject({ Dns: ['9.9.9.9'], DnsSearch: ['a.b'] });
    await call('containers.create', { image, name: 'unmanaged', networks: ['plain'] });
    expect((await inspect('unmanaged')).HostConfig).toMatchObject({ Dns: [], DnsSearch: [] });
  });

  it('that fail their healthcheck say so', async () => {
    const test = ['CMD', '/bin/busybox', 'cat', '/nothing'];
    await call('containers.create', { image, name: 'ill', healthcheck: { test, interval: 60, retries: 1 } });
    await call('containers.start', { id: 'ill' });
    expect(await call('containers.healthcheck', { id: 'ill' })).toEqual({
      status: 'unhealthy',
      exit_code: 1,
      log: expect.stringContaining('/nothing') as string,
    });
    await call('containers.delete', { id: 'ill', force: true });
  });

  it('whose bind source was swapped do not start any more', async () => {
    const source = join(root, 'data/swap');
    await mkdir(source);
    await call('containers.create', { image, name: 'swap', mounts: [{ bind: source, target: '/x' }] });
    await call('containers.start', { id: 'swap' });
    await call('containers.stop', { id: 'swap', timeout: 0 });
    await rm(source, { recursive: true });
    await symlink('/etc', source);
    for (const verb of ['containers.start', 'containers.restart'])
      await expect(call(verb, { id: 'swap' })).rejects.toMatchObject({ code: 403, field: 'id' });
    expect((await inspect('swap')).State.Status).not.toBe('running');
  });

  it.each<[object, number, string]>([
    [{ privileged: true }, 403, 'privileged'],
    [{ mounts: [{ bind: '/etc', target: '/x' }] }, 403, 'mounts[0].bind'],
    [{ image: 'nosuch' }, 404, 'image'],
    [{ networks: ['nosuch'] }, 404, 'networks'],
    [{ stop_timeout: 86_401 }, 400, 'stop_timeout'],
    [{ name: 'own' }, 409, 'name'],
    [{ image: 'dir:/etc' }, 400, 'image'],
    [{ name: 'a/b' }, 400, 'name'],
    [{ env: { 'A=B': 'c' } }, 400, 'env'],
    [{ network: 'a', networks: ['b'] }, 400, 'networks'],
    [{ networks: ['a', 'a'] }, 400, 'networks[1]'],
    [{ ip: '10.0.0.1' }, 400, 'ip'],
    [{ network: 'shop', ip: '10.0.0.1/24' }, 400, 'ip'],
    [{ network: 'shop', ip: '10.210.6.3' }, 400, 'ip'],
    [{ network: 'shop', ip: '10.210.5.1' }, 400, 'ip'],
    [{ network: 'shop', ip: '10.210.5.255' }, 400, 'ip'],
    [{ ports: [{ host_port: 6443, container_port: 80 }] }, 403, 'ports[0].host_port'],
    [{ ports: [{ host_ip: '100.64.0.1', host_port: 80, container_port: 80 }] }, 403, 'ports[0].host_ip'],
    [{ ports: [{ host_ip: '10.210.5.1', host_port: 80, container_port: 80 }] }, 403, 'ports[0].host_ip'],
    [{ labels: { 'io.coolify.address.shop': '10.210.5.9' } }, 403, 'labels.io.coolify.address.shop'],
    [{ network: 'shop', network_aliases: ['a b'] }, 400, 'network_aliases[0]'],
    // None of them could stand in a DNS name.
    [{ network: 'shop', network_aliases: ['web', 'a.b'] }, 400, 'network_aliases[1]'],
    [{ network: 'shop', network_aliases: ['x'.repeat(64)] }, 400, 'network_aliases[0]'],
    [{ network: 'shop', network_aliases: ['-web'] }, 400, 'network_aliases[0]'],
    [{ network: 'shop', network_aliases: Array(17).fill('web') }, 400, 'network_aliases'],
    [{ network_mode: 'none', ports: [{ host_port: 1, container_port: 1 }] }, 400, 'ports'],
    [{ dns: ['resolver'] }, 400, 'dns[0]'],
    [{ dns_search: ['a b'] }, 400, 'dns_search[0]'],
    [{ mounts: [{ target: '/x' }] }, 400, 'mounts[0]'],
    [{ mounts: [{ volume: 'v', target: 'x' }] }, 400, 'mounts[0].target'],
    [{ mounts: [{ volume: 'v', target: '/x/../..' }] }, 400, 'mounts[0].target'],
    [{ mounts: [{ volume: 'v', target: '/' }] }, 400, 'mounts[0].target'],
    [{ mounts: [{ volume: '', target: '/x' }] }, 400, 'mounts[0].volume'],
    [{ mounts: [{ tmpfs: false, target: '/x' }] }, 400, 'mounts[0].tmpfs'],
    [{ ports: [{ host_port: 0, container_port: 80 }] }, 400, 'ports[0].host_port'],
    [{ ports: [{ host_port: 80, container_port: 65_536 }] }, 400, 'ports[0].container_port'],
    [{ ports: [{ host_port: 80, container_port: 80, protocol: 'icmp' }] }, 400, 'ports[0].protocol'],
    [{ healthcheck: { test: [] } }, 400, 'healthcheck.test'],
    [{ healthcheck: { test: ['CMD', 'x'], interval: -1 } }, 400, 'healthcheck.interval'],
    [{ healthcheck: { test: ['CMD', 'x'], interval: '1ns' } }, 400, 'healthcheck.interval'],
    [{ restart_policy: 'sometimes' }, 400, 'restart_policy'],
    [{ restart_policy: 'always:3' }, 400, 'restart_policy'],
    [{ user: 'a b' }, 400, 'user'],
    [{ workdir: '../x' }, 400, 'workdir'],
    [{ resources: { memory: 0 } }, 400, 'resources.memory'],
    [{ resources: { cpus: 0 } }, 400, 'resources.cpus'],
    [{ resources: { pids: 0 } }, 400, 'resources.pids'],
    [{ stop_signal: 'SIGNOPE' }, 400, 'stop_signal'],
    [{ stop_signal: '99' }, 400, 'stop_signal'],
  ])('of %j are refused with %i', async (fields, code, field) => {
    await expect(call('containers.create', { image, name: 'bad', ...fields })).rejects.toMatchObject({
      code,
      field,
    });
  });

  it.each(['', '../x', 'a/b', '-f', 'a?force=true', 'x'.repeat(10_240)])('are not called %j', async id => {
    for (const verb of ['start', 'stop', 'restart', 'delete', 'inspect', 'healthcheck'])
      await expect(call(`containers.${verb}`, { id })).rejects.toMatchObject({ code: 400, field: 'id' });
  });
});
