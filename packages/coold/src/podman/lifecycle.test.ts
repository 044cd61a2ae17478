import { join } from 'node:path';
import { VerbError } from '@coold/errors';
import { type PodmanService, scratchFolder, startPodman } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPodman, type Podman } from './client.ts';
import { readEvent, readFacts, readListed } from './lifecycle.ts';

const forever = new AbortController().signal;

describe("Podman's answers", () => {
  const inspected = {
    Id: 'abcdef0123456789',
    Name: '/web',
    State: { Status: 'Running', Health: { Status: 'Healthy' } },
    NetworkSettings: {
      Networks: {
        n: { IPAddress: '10.0.0.2', Aliases: ['abcdef012345', 'www'] },
        m: { Aliases: ['abcdef012345'] },
        o: {},
      },
    },
  };

  it('are read in our terms', () => {
    expect(readFacts(inspected)).toEqual({
      id: 'abcdef0123456789',
      name: 'web',
      state: 'running',
      health: 'healthy',
      networks: new Map([
        ['n', '10.0.0.2'],
        ['m', ''],
        ['o', ''],
      ]),
      aliases: new Map([['n', ['www']]]),
      run: { startedAt: '', exitCode: 0 },
    });
  });

  it.each([[{}], [{ Health: { Status: '' } }], [{ Health: null }], [{ Healthcheck: { Status: '' } }]])(
    'without a healthcheck have the health "unknown": %j',
    state => {
      expect(readFacts({ ...inspected, State: { Status: 'exited', ...state } })).toMatchObject({
        health: 'unknown',
      });
    },
  );

  it.each([
    [
      { Type: 'container', Action: 'start', Actor: { ID: 'abc' } },
      { id: 'abc', about: 'change' },
    ],
    [
      { Type: 'network', Action: 'connect', Actor: { ID: 'abc' } },
      { id: 'abc', about: 'change' },
    ],
    [
      { Type: 'container', Action: 'health_status', Actor: { ID: 'abc' } },
      { id: 'abc', about: 'health' },
    ],
    [{ Type: 'container', Action: 'exec_died', Actor: { ID: 'abc' } }, undefined],
    [{ Type: 'image', Action: 'pull', Actor: { ID: 'abc' } }, undefined],
    [{ Type: 'network', Action: 'create' }, undefined],
  ])('of an event name the container that it is about: %j', (event, told) => {
    expect(readEvent(event)).toEqual(told);
  });

  it('of a list have a fingerprint that does not depend on the order of networks', () => {
    const listed = (Networks: string[], State = 'running') => readListed([{ Id: 'a', Networks, State }])[0];
    expect(listed(['a', 'b'])).toEqual(listed(['b', 'a']));
    expect(listed(['a'])).not.toEqual(listed(['b']));
    expect(listed(['a'])).not.toEqual(listed(['a'], 'exited'));
  });

  it('of any shape are read or refused with a 502', () => {
    fc.assert(
      fc.property(fc.anything(), answer => {
        for (const read of [readFacts, readListed, readEvent]) {
          try {
            read(answer);
          } catch (error) {
            expect(error).toBeInstanceOf(VerbError);
            expect(error).toMatchObject({ code: 502 });
          }
        }
      }),
    );
  });
});

describe('a real Podman', () => {
  const stack = new AsyncDisposableStack();
  let service: PodmanService;
  let podman: Podman;
  beforeAll(async () => {
    const folder = stack.use(await scratchFolder());
    service = stack.use(await startPodman(join(folder.path, 'podman')));
    podman = createPodman(service.socketPath);
  });
  afterAll(() => stack.disposeAsync());

  it('reports every change of a container, and its state then', async () => {
    const stop = new AbortController();
    stack.defer(() => stop.abort());
    const told: string[] = [];
    const events = podman.lifecycle.events(id => void told.push(id), stop.signal);
    void events.catch(() => {});
    const id = await service.runTiny('web');
    await soon(() => expect(told).toContain(id));
    const [before] = await podman.lifecycle.list(forever);
    expect(await podman.lifecycle.facts(id, forever)).toEqual({
      id,
      name: 'web',
      state: 'running',
      health: 'unknown',
      aliases: new Map(),
      run: { startedAt: expect.stringMatching(/^20\d\d-/), exitCode: 0 },
      networks: new Map([['podman', expect.stringMatching(/^10\.88\./)]]),
    });
    await podman.networks.create(
      {
        name: 'n',
        driver: 'bridge',
        options: {},
        labels: {},
        subnet: { subnet: '10.231.9.0/24', gateway: undefined },
      },
      forever,
    );
    const act = (method: 'POST' | 'DELETE', path: string, json?: unknown) => () =>
      service.request({ method, path: `/v4.0.0/libpod${path}`, ...(json === undefined ? {} : { json }) });
    const changes: [string, () => Promise<unknown>][] = [
      ['rename', act('POST', `/containers/${id}/rename?name=api`)],
      ['pause', act('POST', `/containers/${id}/pause`)],
      ['unpause', act('POST', `/containers/${id}/unpause`)],
      ['connect', act('POST', '/networks/n/connect', { container: id })],
      ['disconnect', act('POST', '/networks/n/disconnect', { container: id })],
      ['kill', act('POST', `/containers/${id}/kill`)],
      ['start', act('POST', `/containers/${id}/start`)],
      ['stop', act('POST', `/containers/${id}/stop?timeout=0`)],
      ['remove', act('DELETE', `/containers/${id}?force=true`)],
    ];
    for (const [name, change] of changes) {
      const seen = told.length;
      await change();
      await soon(() => expect(told.slice(seen), name).toContain(id));
    }
    expect(before?.fingerprint).toContain('web');
    await expect(podman.lifecycle.facts(id, forever)).rejects.toMatchObject({ code: 404 });
  });

  it('says the same version in a header as among its facts', async () => {
    expect(await podman.host.version(forever)).toBe((await podman.host.facts(forever)).version);
  });
});
