import { join } from 'node:path';
import { scratchFolder, startPodman } from '@coold/testbed';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { caller } from '../../test/caller.ts';
import { createPodman } from '../podman/client.ts';
import { createCoalescer } from './coalesce.ts';
import { volumeHandlers } from './volumes.ts';

describe('volumes of a real Podman', () => {
  const stack = new AsyncDisposableStack();
  let call: ReturnType<typeof caller>;
  /** Asks the same Podman by another client than coold's, in Docker's API. */
  let docker: Docker;
  beforeAll(async () => {
    const folder = stack.use(await scratchFolder());
    const podman = stack.use(await startPodman(join(folder.path, 'podman')));
    call = caller(volumeHandlers(createPodman(podman.socketPath).volumes, createCoalescer()));
    docker = new Docker({ socketPath: podman.socketPath });
  });
  afterAll(() => stack.disposeAsync());

  it('are created once, however often that is asked, and removed', async () => {
    const created = await call('volumes.create', { name: 'data', labels: { app: 'shop' } });
    expect(created).toEqual({
      name: 'data',
      driver: 'local',
      mountpoint: expect.stringMatching(/\/volumes\/data\/_data$/) as string,
      labels: { app: 'shop' },
      created_at: expect.any(Number) as number,
    });
    expect(await call('volumes.create', { name: 'data', labels: { app: 'other' } })).toEqual(created);
    expect(await call('volumes.inspect', { name: 'data' })).toEqual(created);
    const { mountpoint } = created as { mountpoint: string };
    expect(await docker.getVolume('data').inspect()).toMatchObject({
      Name: 'data',
      Driver: 'local',
      Mountpoint: mountpoint,
      Labels: { app: 'shop' },
    });
    expect(await call('volumes.delete', { name: 'data' })).toBeNull();
    await expect(docker.getVolume('data').inspect()).rejects.toMatchObject({ statusCode: 404 });
    await expect(call('volumes.inspect', { name: 'data' })).rejects.toMatchObject({ code: 404 });
    await expect(call('volumes.delete', { name: 'data' })).rejects.toMatchObject({ code: 404 });
  });

  it('have a driver that the host knows', async () => {
    await expect(call('volumes.create', { name: 'odd', driver: 'nosuch' })).rejects.toMatchObject({
      code: 400,
      reason: 'invalid_request',
      field: 'driver',
    });
  });

  it('are created once when all ask at the same time', async () => {
    const asked = Array.from({ length: 5 }, () => call('volumes.create', { name: 'race' }));
    const [first, ...others] = await Promise.all(asked);
    for (const other of others) expect(other).toEqual(first);
    const { Volumes } = await docker.listVolumes();
    expect(Volumes.filter(({ Name }) => Name === 'race')).toHaveLength(1);
  });

  it('of a driver that the host does not have are refused in Podman’s words', async () => {
    await expect(call('volumes.create', { name: 'v', driver: 'nosuch' })).rejects.toMatchObject({
      code: 400,
      field: 'driver',
      message: expect.stringContaining('nosuch') as string,
    });
  });

  it.each([
    [{ name: '/etc' }, 'name'],
    [{ name: '../x' }, 'name'],
    [{}, 'name'],
    [{ name: 'v', driver: '/bin/sh' }, 'driver'],
    [{ name: 'v', labels: { '': 'x' } }, 'labels'],
  ])('of %j are refused', async (fields, field) => {
    await expect(call('volumes.create', fields)).rejects.toMatchObject({ code: 400, field });
  });
});
