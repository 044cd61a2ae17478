import { join } from 'node:path';
import { createCorrosion } from '@coold/corrosion';
import { scratchFolder } from '@coold/testbed';
import { type StandIn, startStandIn } from '@coold/testbed/corrosion';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { caller } from '../../test/caller.ts';
import { forever, hostMgmtIp, type MeshHost, startMeshHost } from '../../test/mesh-host.ts';
import { ownEndpoints, upsertEndpoint } from '../discovery/corrosion/endpoint-table.ts';
import { createRegistrations } from '../discovery/corrosion/registrations.ts';
import { serviceHandlers } from './services.ts';

describe('services, on a real Podman and an agent', () => {
  const stack = new AsyncDisposableStack();
  let host: MeshHost;
  let standIn: StandIn;
  let call: ReturnType<typeof caller>;
  let id: string;
  let touched: string[];
  const corrosion = () => createCorrosion({ url: standIn.url, tokenFile: undefined });
  const theirs = {
    containerId: 'theirs',
    name: 'theirs',
    namespace: 'default',
    hostMgmtIp: '100.64.0.2',
    address: '10.231.7.7',
    state: 'running',
    health: 'healthy',
  };

  beforeAll(async () => {
    const { path } = stack.use(await scratchFolder());
    host = stack.use(await startMeshHost(path));
    standIn = stack.use(await startStandIn(join(path, 'corrosion')));
    id = await host.run('web');
  }, 60_000);
  afterAll(() => stack.disposeAsync());
  beforeEach(async () => {
    touched = [];
    call = caller(
      serviceHandlers({
        registrations: createRegistrations(corrosion(), hostMgmtIp, Date.now),
        lifecycle: host.podman.lifecycle,
        hostMgmtIp,
        touch: one => void touched.push(one),
      }),
    );
    await corrosion().execute(
      [
        ['DELETE FROM service_registrations', []],
        ['DELETE FROM service_endpoints', []],
      ],
      forever,
    );
  });
  const shop = () => ({ service_id: 's', name: 'shop', namespace: 'default', container_id: id });

  it('are registered once, however often, by the name or the id of a container', async () => {
    const registration = { ...shop(), host_mgmt_ip: hostMgmtIp, port: 80 };
    expect(await call('services.register', { ...shop(), port: 80 })).toEqual(registration);
    expect(await call('services.register', { ...shop(), container_id: 'web', port: 81 })).toEqual({
      ...registration,
      port: 81,
    });
    expect(await call('services.endpoints', { id: 's' })).toMatchObject([{ container_id: id, port: 81 }]);
    expect(touched).toEqual([id, id]);
  });

  it('list their containers all over the mesh, with what is known of them', async () => {
    await call('services.register', { ...shop(), port: 80 });
    await corrosion().execute(
      [
        upsertEndpoint(theirs, 1),
        [
          "INSERT INTO service_registrations (service_id, container_id, name, namespace, host_mgmt_ip) VALUES ('s', 'theirs', 'shop', 'default', '100.64.0.2')",
          [],
        ],
      ],
      forever,
    );
    expect(await call('services.endpoints', { id: 's' })).toEqual(
      [
        {
          container_id: id,
          container_ip: '',
          host_mgmt_ip: hostMgmtIp,
          port: 80,
          state: '',
          health: 'unknown',
        },
        {
          container_id: 'theirs',
          container_ip: '10.231.7.7',
          host_mgmt_ip: '100.64.0.2',
          port: 0,
          state: 'running',
          health: 'healthy',
        },
      ].sort((a, b) => (a.container_id < b.container_id ? -1 : 1)),
    );
    expect(await call('services.endpoints', { id: 'nosuch' })).toEqual([]);
  });

  it('are listed without rows of other hosts that make no sense', async () => {
    await call('services.register', { ...shop(), port: 80 });
    const insert =
      "INSERT INTO service_registrations (service_id, container_id, name, namespace, host_mgmt_ip, port) VALUES ('s', ?, 'shop', 'default', '100.64.0.2', ?)";
    await corrosion().execute(
      ['eighty', -1, 1.5, 1e12].map((port, n) => [insert, [`bad-${n}`, port]] as const),
      forever,
    );
    expect(await call('services.endpoints', { id: 's' })).toMatchObject([{ container_id: id, port: 80 }]);
  });

  it('are unregistered by name or id, also what was not registered and whose container is gone', async () => {
    await call('services.register', shop());
    await call('services.register', { ...shop(), service_id: 't' });
    expect(await call('services.unregister', { id: 's', container_id: 'web' })).toBeNull();
    expect(await call('services.unregister', { id: 's', container_id: id })).toBeNull();
    expect(await call('services.unregister', { id: 'nosuch', container_id: 'nosuch' })).toBeNull();
    expect(await call('services.endpoints', { id: 's' })).toEqual([]);
    expect(await call('services.endpoints', { id: 't' })).toHaveLength(1);
  });

  it('leave rows of other hosts alone', async () => {
    await corrosion().execute(
      [
        [
          "INSERT INTO service_registrations (service_id, container_id, name, namespace, host_mgmt_ip) VALUES ('s', 'theirs', 'shop', 'default', '100.64.0.2')",
          [],
        ],
        upsertEndpoint(theirs, 1),
      ],
      forever,
    );
    await call('services.unregister', { id: 's', container_id: 'theirs' });
    expect(await call('services.endpoints', { id: 's' })).toHaveLength(1);
    const rows: unknown[] = [];
    await corrosion().query(
      ownEndpoints('100.64.0.2', Date.now).select,
      values => void rows.push(values),
      forever,
    );
    expect(rows).toHaveLength(1);
  });

  it.each([
    [{ container_id: 'nosuch' }, 404, undefined],
    [{ container_id: '' }, 400, 'container_id'],
    [{ container_id: '../x' }, 400, 'container_id'],
    [{ service_id: '' }, 400, 'service_id'],
    [{ name: '' }, 400, 'name'],
    [{ name: 'a.b' }, 400, 'name'],
    [{ namespace: '' }, 400, 'namespace'],
    [{ namespace: 'Shop' }, 400, 'namespace'],
    [{ port: 65_536 }, 400, 'port'],
    [{ port: -1 }, 400, 'port'],
  ])('are not registered with %j', async (changes, code, field) => {
    const asked = call('services.register', { ...shop(), ...changes });
    await expect(asked).rejects.toMatchObject(code === 404 ? { code } : { field });
    expect(await call('services.endpoints', { id: 's' })).toEqual([]);
  });

  it('are a 503 while Corrosion is down', async () => {
    await standIn.stop();
    const unreachable = { code: 503, message: expect.stringContaining('corrosion') as string };
    await expect(call('services.register', shop())).rejects.toMatchObject(unreachable);
    await expect(call('services.unregister', { id: 's', container_id: id })).rejects.toMatchObject(
      unreachable,
    );
    await expect(call('services.endpoints', { id: 's' })).rejects.toMatchObject(unreachable);
    await standIn.start();
  });
});
