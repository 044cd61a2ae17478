import { create } from '@bufbuild/protobuf';
import { HostedBuild_State, HostedBuildSchema } from '@coold/proto';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { watchBuilds } from './build-metrics.ts';

test('builds are counted by their state, when they are asked for', async () => {
  const registry = new Registry();
  const builds = [HostedBuild_State.RUNNING, HostedBuild_State.RUNNING].map(state =>
    create(HostedBuildSchema, { state }),
  );
  watchBuilds(registry, () => builds);
  builds.push(create(HostedBuildSchema, { state: HostedBuild_State.FINISHED }));
  const text = await registry.metrics();
  for (const line of ['{state="queued"} 0', '{state="running"} 2', '{state="finished"} 1'])
    expect(text).toContain(`coold_builds${line}\n`);
});
