import { create } from '@bufbuild/protobuf';
import { HostedBuild_State, HostedBuildSchema } from '@coold/proto';
import { soon } from '@coold/testbed/soon';
import { describe, expect, it } from 'vitest';
import type { ContainerFacts } from '../podman/lifecycle.ts';
import { containerEvents } from './container-events.ts';
import { createEventLog, type HostEventInit } from './event-log.ts';
import { type WatchedHost, watchHost } from './watch-host.ts';

function begun() {
  const log = createEventLog();
  log.begin();
  const reader = log.read(undefined);
  reader.next();
  return {
    log,
    told(): HostEventInit[] {
      const events: HostEventInit[] = [];
      for (let next = reader.next(); next !== undefined; next = reader.next()) events.push(next);
      return events;
    },
  };
}

const facts = (over: Partial<ContainerFacts> = {}): ContainerFacts => ({
  id: 'abc',
  name: 'web',
  state: 'running',
  health: 'starting',
  networks: new Map(),
  aliases: new Map(),
  run: { startedAt: '2026-11-30T10:00:00Z', exitCode: 0 },
  ...over,
});

describe('containers', () => {
  it('are reported from their creation to their end, each change once', () => {
    const { log, told } = begun();
    const { changed, gone } = containerEvents(log);
    changed(facts());
    changed(facts());
    changed(facts({ health: 'healthy' }));
    changed(facts({ health: 'healthy', networks: new Map([['n', '10.0.0.2']]) }));
    changed(facts({ health: 'healthy', run: { startedAt: '2026-11-30T11:00:00Z', exitCode: 0 } }));
    changed(
      facts({
        state: 'exited',
        health: 'healthy',
        run: { startedAt: '2026-11-30T11:00:00Z', exitCode: 137 },
      }),
    );
    gone('abc');
    gone('abc');
    expect(
      told().map(({ type, container }) => [type, container?.state, container?.health, container?.exitCode]),
    ).toEqual([
      ['container.created', 'running', 'starting', 0],
      ['container.health', 'running', 'healthy', 0],
      ['container.state', 'running', 'healthy', 0],
      ['container.state', 'exited', 'healthy', 137],
      ['container.removed', 'exited', 'healthy', 137],
    ]);
  });

  it('have long texts of others cut', () => {
    const { log, told } = begun();
    containerEvents(log).changed(facts({ name: 'x'.repeat(10_000) }));
    expect(told()[0]?.container?.name).toHaveLength(256);
  });
});

describe('the rest of the host', () => {
  const noDrift = { kernelOnly: [], modelOnly: [], planesDiffer: [], snapshotDiffers: [] };
  function play() {
    const state = {
      firewall: { mode: 'enforcing', drift: noDrift } as unknown as ReturnType<WatchedHost['firewall']>,
      repairs: { hooks: 0, deny: 0 },
      listeners: [{ namespace: 'default', address: '10.0.0.1:53', bound: true }] as ReturnType<
        WatchedHost['listeners']
      >,
      builds: [] as { requestId: string; state: HostedBuild_State }[],
    };
    const { log, told } = begun();
    const stop = new AbortController();
    const task = watchHost(
      log,
      {
        firewall: () => state.firewall,
        repairs: () => state.repairs,
        listeners: () => state.listeners,
        builds: () => state.builds.map(build => create(HostedBuildSchema, build)),
      },
      5,
    )(stop.signal);
    return {
      state,
      told,
      async [Symbol.asyncDispose]() {
        stop.abort();
        await task;
      },
    };
  }

  it('is reported as it changes: drift, repairs, listeners, builds', async () => {
    await using host = play();
    const { state } = host;
    const next = () =>
      soon(() => {
        const events = host.told();
        return events.length > 0 ? events : expect.fail('nothing yet');
      });
    expect(await next()).toMatchObject([
      { type: 'firewall.state', firewall: { mode: 'enforcing', drift: 0, problem: '' } },
      { type: 'dns.listener', dns: { namespace: 'default', bound: true, problem: '' } },
    ]);
    const drift = { ...noDrift, kernelOnly: ['a'] };
    state.firewall = {
      ...state.firewall,
      mode: 'broken',
      drift,
      denyProblem: 'the guard is gone',
    } as typeof state.firewall;
    expect(await next()).toMatchObject([
      { type: 'firewall.state', firewall: { mode: 'broken', drift: 1, problem: 'the guard is gone' } },
    ]);
    state.repairs = { hooks: 1, deny: 2 };
    expect((await next()).map(({ type, firewall }) => [type, firewall?.repaired])).toEqual([
      ['firewall.repair', 'hooks'],
      ['firewall.repair', 'deny'],
      ['firewall.repair', 'deny'],
    ]);
    state.listeners = [{ namespace: 'default', address: '10.0.0.1:53', bound: false, problem: 'in use' }];
    expect(await next()).toMatchObject([{ type: 'dns.listener', dns: { bound: false, problem: 'in use' } }]);
    state.builds = [{ requestId: 'b', state: HostedBuild_State.QUEUED }];
    expect(await next()).toMatchObject([{ type: 'build.state', build: { requestId: 'b', state: 'queued' } }]);
    state.builds = [{ requestId: 'b', state: HostedBuild_State.FINISHED }];
    expect(await next()).toMatchObject([{ type: 'build.state', build: { state: 'finished' } }]);
    state.builds = [];
    state.listeners = [];
    expect((await next()).map(({ type }) => type)).toEqual(['dns.removed', 'build.removed']);
  });
});
