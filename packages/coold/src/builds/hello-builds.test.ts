import { create } from '@bufbuild/protobuf';
import { HostedBuild_State, HostedBuildSchema } from '@coold/proto';
import { expect, it } from 'vitest';
import { maxNamedResults, namedInHello } from './hello-builds.ts';

const { FINISHED, QUEUED, RUNNING } = HostedBuild_State;
const build = (requestId: string, state: HostedBuild_State) =>
  create(HostedBuildSchema, { requestId, state });
const results = (count: number) => Array.from({ length: count }, (_, i) => build(`r${i}`, FINISHED));

it('names all builds of a host with few results', () => {
  const hosted = [build('a', RUNNING), ...results(maxNamedResults), build('b', QUEUED)];
  expect(namedInHello(hosted)).toEqual(hosted);
});

it('leaves out the oldest results of many, and nothing that still runs or waits', () => {
  const hosted = [build('a', RUNNING), ...results(maxNamedResults + 2), build('b', QUEUED)];
  expect(namedInHello(hosted)).toEqual(hosted.toSpliced(1, 2));
});
