import { join } from 'node:path';
import { type PodmanService, scratchFolder, startPodman } from '@coold/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { caller } from '../../test/caller.ts';
import { createPodman } from '../podman/client.ts';
import { hostHandlers } from './host.ts';

describe('a host with a real Podman', () => {
  const stack = new AsyncDisposableStack();
  let podman: PodmanService;
  let call: ReturnType<typeof caller>;
  beforeAll(async () => {
    const folder = stack.use(await scratchFolder());
    podman = stack.use(await startPodman(join(folder.path, 'podman')));
    call = caller(hostHandlers(createPodman(podman.socketPath).host, '1.2.3'));
  });
  afterAll(() => stack.disposeAsync());

  it('without containers has none, and no statistics', async () => {
    expect(await call('host.containers')).toEqual([]);
    expect(await call('host.stats')).toEqual([]);
  });

  it('reports its own facts', async () => {
    const number = expect.any(Number) as number;
    expect(await call('host.info')).toEqual({
      coold: { version: '1.2.3', uptime_s: number },
      podman: {
        version: expect.stringMatching(/^\d+\.\d+/) as string,
        storage_driver: expect.stringMatching(/^(overlay|vfs)$/) as string,
        graph_root: expect.stringMatching(/\/storage$/) as string,
        network_backend: 'netavark',
        cgroup_version: expect.stringMatching(/^v[12]$/) as string,
      },
      kernel: expect.stringMatching(/^\d+\.\d+/) as string,
      load: [number, number, number],
      memory: { total: number, available: number },
      disk: { total: number, free: number },
      uptime_s: number,
      wireguard: { interface: 'wg0', peers: [] },
    });
  });

  it('counts its containers, running or not', async () => {
    const running = await podman.runTiny('running');
    const stopped = await podman.runTiny('stopped');
    await podman.request({ method: 'POST', path: `/v4.0.0/libpod/containers/${stopped}/stop?timeout=0` });
    const shared = {
      labels: expect.objectContaining({ 'io.buildah.version': expect.any(String) as string }) as object,
      image: 'localhost/tiny:latest',
      health: 'unknown',
      networks: ['podman'],
    };
    const list = (await call('host.containers')) as { name: string }[];
    expect(list.toSorted((a, b) => a.name.localeCompare(b.name))).toEqual([
      {
        ...shared,
        id: running,
        name: 'running',
        state: 'running',
        addresses: { podman: expect.stringMatching(/^10\.88\./) as string },
      },
      { ...shared, id: stopped, name: 'stopped', state: 'exited', addresses: {} },
    ]);
    const stats = (await call('host.stats')) as Record<string, unknown>[];
    expect(stats.map(({ name }) => name).sort()).toEqual(['running', 'stopped']);
    const entry = stats.find(({ name }) => name === 'running') ?? {};
    expect(entry).toMatchObject({ id: running, pids: 1 });
    expect(stats.find(({ name }) => name === 'stopped')).toMatchObject({ memory: 0, pids: 0 });
    expect(Object.keys(entry)).toEqual([
      ...['id', 'name', 'cpu_percent', 'memory', 'memory_limit', 'net_rx', 'net_tx'],
      ...['block_read', 'block_write', 'pids'],
    ]);
    for (const [name, value] of Object.entries(entry))
      expect(typeof value).toBe(name === 'id' || name === 'name' ? 'string' : 'number');
  });
});
