import { join } from 'node:path';
import { type PodmanService, scratchFolder, startPodman } from '@coold/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPodman, type Podman } from './client.ts';

const forever = new AbortController().signal;
const missing = expect.objectContaining({ code: 404 }) as Error;

describe('what is left of a real Podman when something else was named', () => {
  const stack = new AsyncDisposableStack();
  let service: PodmanService;
  let podman: Podman;
  beforeAll(async () => {
    const folder = stack.use(await scratchFolder());
    service = stack.use(await startPodman(join(folder.path, 'podman')));
    podman = createPodman(service.socketPath);
  });
  afterAll(() => stack.disposeAsync());

  it('is the volume whose name only begins so', async () => {
    const make = (name: string) => podman.volumes.create({ name, driver: 'local', labels: {} }, forever);
    await make('app-data');
    await expect(podman.volumes.remove('app', forever)).rejects.toThrow(missing);
    await make('app');
    await podman.volumes.remove('app', forever);
    await expect(podman.volumes.remove('app', forever)).rejects.toThrow(missing);
    expect(await podman.volumes.inspect('app-data', forever)).toMatchObject({ name: 'app-data' });
    await podman.volumes.remove('app-data', forever);
  });

  it('is the container whose id only begins so', async () => {
    const id = await service.runTiny('victim');
    const name = id.slice(0, 3);
    const { containers, lifecycle } = podman;
    const spec = { cmd: ['/bin/busybox', 'true'], tty: false, env: [], workdir: '', user: '' };
    const logs = { tail: undefined, since: undefined, stdout: true, stderr: true, timestamps: false };
    const reader = { onOpened: () => Promise.resolve(), onFrame: () => Promise.resolve() };
    for (const asked of [
      () => containers.start(name, forever),
      () => containers.restart(name, undefined, forever),
      () => containers.stop(name, 0, forever),
      () => containers.remove(name, true, forever),
      () => containers.inspect(name, forever),
      () => containers.healthcheck(name, forever),
      () => containers.logs(name, logs, () => true, forever),
      () => containers.streamLogs(name, { ...logs, follow: false }, reader, forever),
      () => containers.createExec(name, spec, forever),
      () => containers.exec(name, spec, () => {}, { timeoutMs: 5000 }, forever),
      () => lifecycle.facts(name, forever),
    ])
      await expect(asked()).rejects.toThrow(missing);
    expect(await lifecycle.facts(id.slice(0, 12), forever)).toMatchObject({ id, state: 'running' });
    // One that is called so is meant, though the id of another begins so too.
    const image = await service.ensureTinyImage();
    const named = await containers.create({ name, image }, forever);
    expect(await containers.inspect(name, forever)).toMatchObject({ Id: named, Name: name });
    await containers.remove(name, true, forever);
    await expect(containers.remove(name, true, forever)).rejects.toThrow(missing);
    expect(await lifecycle.facts(id, forever)).toMatchObject({ state: 'running' });
  });

  it('is the network whose id only begins so, or is what was named', async () => {
    const spec = { name: 'net', driver: 'bridge', options: {}, labels: {} };
    await podman.networks.create(spec, forever);
    const found = await service.request({ path: '/v4.0.0/libpod/networks/net/json' });
    const { id } = found.json() as { id: string };
    for (const name of [id.slice(0, 3), id])
      await expect(podman.networks.remove(name, forever)).rejects.toThrow(missing);
    await podman.networks.create({ ...spec, name: 'beef' }, forever);
    await podman.networks.remove('beef', forever);
    expect((await podman.networks.list(forever)).map(({ name }) => name)).toEqual(['net', 'podman']);
    await podman.networks.remove('net', forever);
  });
});
