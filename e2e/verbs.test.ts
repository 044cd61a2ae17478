// The verbs as Laravel calls them: JSON to a real broker, its stream, a real coold and a real Podman.
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readVerbs } from '@coold/proto';
import { scratchFolder } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stack, startStack } from './stack.ts';

describe('over broker.sock', () => {
  const cleanup = new AsyncDisposableStack();
  let stack: Stack;
  let data: string;
  const called = new Set<string>();
  beforeAll(async () => {
    data = join(cleanup.use(await scratchFolder()).path, 'data');
    await mkdir(data);
    stack = cleanup.use(await startStack({ coold: { COOLD_ALLOWED_MOUNT_SOURCES: data } }));
    await stack.podman.ensureTinyImage();
  });
  afterAll(() => cleanup.disposeAsync());

  let requests = 0;
  async function dispatch(type: string, fields: object = {}): Promise<Record<string, unknown>> {
    called.add(type);
    requests += 1;
    const answer = await stack.dispatch(`v-${requests}`, { type, ...fields });
    return answer.json() as Record<string, unknown>;
  }
  async function call(type: string, fields: object = {}): Promise<unknown> {
    const envelope = await dispatch(type, fields);
    expect(envelope, type).toMatchObject({ status: 'ok' });
    return envelope['data'];
  }

  const image = 'localhost/tiny:latest';
  const text = expect.any(String) as string;
  const number = expect.any(Number) as number;

  it('a deployment succeeds, with the right answer at every step', async () => {
    expect(
      await call('networks.create', { name: 'n', namespace: 'default', subnet: '10.231.5.0/24' }),
    ).toEqual({
      name: 'n',
      namespace: 'default',
      driver: 'bridge',
      subnet: '10.231.5.0/24',
      gateway: '10.231.5.1',
      labels: {
        'coolify.namespace': 'default',
        'io.coolify.managed': 'true',
        'io.coolify.namespace': 'default',
      },
    });
    const volume = { name: 'v', driver: 'local', mountpoint: text, labels: {}, created_at: number };
    expect(await call('volumes.create', { name: 'v' })).toEqual(volume);
    expect(await call('volumes.inspect', { name: 'v' })).toEqual(volume);
    const created = await call('containers.create', {
      image,
      name: 'web',
      network: 'n',
      ip: '10.231.5.9',
      stop_timeout: 0,
      mounts: [
        { volume: 'v', target: '/v' },
        { bind: data, target: '/b', read_only: true },
      ],
      healthcheck: { test: ['CMD', '/bin/busybox', 'true'], interval: 5, timeout: '2s' },
    });
    expect(created).toEqual({ id: text });
    expect(await call('containers.start', { id: 'web' })).toBeNull();
    expect(await call('containers.inspect', { id: 'web' })).toMatchObject({
      Id: (created as { id: string }).id,
      State: { Running: true },
    });
    expect(await call('containers.healthcheck', { id: 'web' })).toEqual({
      status: 'healthy',
      exit_code: 0,
      log: '',
    });
    expect(await call('containers.exec', { id: 'web', cmd: ['/bin/busybox', 'echo', 'hi'] })).toEqual({
      exit_code: 0,
      output: 'hi\n',
      truncated: false,
    });
    expect(await call('containers.logs', { id: 'web' })).toEqual({ frames: [], truncated: false });
    expect(await call('list_containers')).toMatchObject([{ name: 'web', networks: ['n'] }]);
    expect(await call('host.containers')).toMatchObject([{ name: 'web', addresses: { n: '10.231.5.9' } }]);
    expect(await call('containers.list', { namespace: 'default' })).toMatchObject([
      { name: 'web', state: 'running', addresses: { n: '10.231.5.9' }, networks: ['n'] },
    ]);
    const service = { service_id: 's', name: 'site', namespace: 'default', container_id: 'web', port: 80 };
    const { id } = created as { id: string };
    expect(await call('services.register', service)).toEqual({
      ...service,
      container_id: id,
      host_mgmt_ip: '127.0.0.1',
    });
    // The row is written as soon as Podman reports that it is healthy.
    await soon(async () =>
      expect(await call('services.endpoints', { id: 's' })).toEqual([
        {
          container_id: id,
          container_ip: '10.231.5.9',
          host_mgmt_ip: '127.0.0.1',
          port: 80,
          state: 'running',
          health: 'healthy',
        },
      ]),
    );
    expect(await call('services.unregister', { id: 's', container_id: id })).toBeNull();
    expect(await call('services.endpoints', { id: 's' })).toEqual([]);
    expect(await call('mesh.forget', { host_mgmt_ip: '100.64.255.254' })).toBeNull();
    const token = await readFile(join(stack.folder, 'host-jwt'), 'utf8');
    expect(await call('host.jwt.set', { token })).toBeNull();
    // coold does not run in a unit here, so it has no journal.
    expect(await call('coold.logs')).toEqual({ frames: [], truncated: false });
    expect(((await call('host.events')) as object[])[0]).toMatchObject({ type: 'begin' });
    expect(await call('host.stats')).toMatchObject([{ name: 'web', memory: number, pids: 1 }]);
    expect(await call('host.info')).toMatchObject({
      load: [number, number, number],
      memory: { total: number },
    });
    expect(await call('containers.restart', { id: 'web' })).toBeNull();
    expect(await call('containers.stop', { id: 'web' })).toBeNull();
    expect(await call('containers.delete', { id: 'web' })).toBeNull();
    expect(await call('volumes.delete', { name: 'v' })).toBeNull();
    expect(await call('networks.delete', { name: 'n' })).toBeNull();
    expect(await call('networks.list')).toMatchObject([{ name: 'podman', namespace: '' }]);
    expect(await call('images.list')).toMatchObject([{ ref: image, size: number }]);
    expect(await call('images.delete', { ref: image })).toBeNull();
  });

  it('a flow is allowed, and is in the kernel, until it is revoked', async () => {
    const flow = { src: '10.210.5.2', dst: '10.210.6.3', proto: 'tcp', port: 80 };
    const rule = { id: '644d80ecc835', namespace: 'default', ...flow };
    expect(await call('firewall.allow', flow)).toEqual(rule);
    expect(await call('firewall.list')).toEqual([rule]);
    expect(await call('firewall.list', { namespace: 'shop' })).toEqual([]);
    expect(await call('firewall.show', { id: rule.id })).toEqual({ ...rule, packets: 0, bytes: 0 });
    // Neither end is behind a bridge of this machine.
    expect(await dispatch('firewall.explain', flow)).toMatchObject({
      status: 'error',
      code: 400,
      field: 'src',
    });
    const line = `-s 10.210.5.2/32 -d 10.210.6.3/32 -p tcp -m tcp --dport 80 -m comment --comment "cid:${rule.id}:default"`;
    expect(await stack.filter.iptables('-S', 'COOLIFY-ALLOW')).toContain(line);
    const none = { count: 0, ids: [] };
    // No container has these addresses; that is reported once the mesh is known.
    const status = async () => (await call('firewall.status')) as { orphans?: unknown };
    await expect.poll(async () => (await status()).orphans, { timeout: 20_000 }).toBeDefined();
    expect(await status()).toEqual({
      orphans: { count: 1, ids: [rule.id] },
      mode: 'enforcing',
      permissive: false,
      backend: 'nf_tables',
      watched: true,
      foreign: [],
      rules: { model: 1, iptables: 1, nft: 1, guard: 1, snapshot: 1 },
      drift: { in_kernel_only: none, in_model_only: none, planes_differ: none, snapshot_differs: none },
      hook_repairs: 0,
      deny_repairs: 0,
    });
    await stack.filter.iptables('-F', 'COOLIFY-ALLOW');
    expect(await call('firewall.reconcile')).toBeNull();
    expect(await stack.filter.iptables('-S', 'COOLIFY-ALLOW')).toContain(line);
    const other = { src: '10.210.5.2', dst: '10.210.6.4' };
    expect(await call('firewall.bulk', { add: [other], remove: [rule.id] })).toEqual({
      added: 1,
      removed: 1,
      total: 1,
    });
    const [left] = (await call('firewall.list')) as { id: string }[];
    expect(left).toMatchObject(other);
    expect(await call('firewall.revoke', { id: left?.id })).toBeNull();
    expect(
      await stack.filter.nft('list', 'chain', 'bridge', 'coolify_bridge', 'coolify_allow'),
    ).not.toContain('cid:');
  });

  it('a host’s refusal arrives with its code and field', async () => {
    const spec = { image, name: 'bad' };
    expect(await dispatch('containers.create', { ...spec, cap_add: ['SYS_ADMIN'] })).toMatchObject({
      status: 'error',
      code: 403,
      field: 'cap_add[0]',
    });
    const outside = { ...spec, mounts: [{ bind: '/etc', target: '/x' }] };
    expect(await dispatch('containers.create', outside)).toMatchObject({
      code: 403,
      field: 'mounts[0].bind',
    });
    expect(await dispatch('containers.create', { ...spec, hooks: [] })).toMatchObject({
      code: 400,
      field: 'hooks',
    });
    expect(await dispatch('containers.inspect', { id: 'nosuch' })).toMatchObject({ code: 404 });
    expect(await dispatch('networks.create', { name: 'x', subnet: '127.0.0.0/24' })).toMatchObject({
      code: 400,
      field: 'subnet',
      message: expect.stringContaining('private') as string,
    });
  });

  it(`credentials and variables leave no trace in the programs' logs`, async () => {
    const auth = { username: 'robot-name', password: 'hush-password' };
    const pull = await dispatch('images.pull', { ref: '127.0.0.1:1/app', auth });
    expect(pull).toMatchObject({ status: 'error' });
    await dispatch('containers.create', { image: 'nosuch', name: 'x', env: { KEY: 'hush-value' } });
    const said = JSON.stringify([pull, stack.coold.lines, stack.broker.lines]);
    expect(said).toContain('images.pull');
    expect(said).not.toMatch(/hush|robot-name/);
  });

  it('a name is looked up like a container would', async () => {
    const name = 'nobody.nowhere.coolify.internal';
    expect(await call('dns.lookup', { name })).toMatchObject({ name, in_zone: true, answers: [] });
    expect(await call('dns.stats')).toMatchObject({ queries: expect.any(Number) as number });
  });

  it('every verb was called', () => {
    expect([...called].sort()).toEqual([...readVerbs().keys()].sort());
  });
});
