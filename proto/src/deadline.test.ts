import { create } from '@bufbuild/protobuf';
import { expect, it } from 'vitest';
import {
  ContainersDeleteRequestSchema,
  ContainersRestartRequestSchema,
  ContainersStopRequestSchema,
} from '../gen/coolify/agent/v1/containers_pb.js';
import { readDeadline } from './deadline.ts';
import { readVerbs } from './verbs.ts';

const verbs = readVerbs();

it.each([
  ['containers.stop', create(ContainersStopRequestSchema), 15_000],
  ['containers.stop', create(ContainersStopRequestSchema, { timeout: 0 }), 5000],
  ['containers.restart', create(ContainersRestartRequestSchema, { timeout: 60 }), 65_000],
  ['containers.restart', create(ContainersRestartRequestSchema, { timeout: 86_400 }), 305_000],
  ['containers.delete', create(ContainersDeleteRequestSchema), undefined],
  ['containers.delete', create(ContainersDeleteRequestSchema, { timeout: 60 }), undefined],
  ['containers.delete', create(ContainersDeleteRequestSchema, { force: true }), 15_000],
  ['containers.delete', create(ContainersDeleteRequestSchema, { force: true, timeout: 60 }), 65_000],
])('%s of %j waits %s ms', (name, request, ms) => {
  expect(verbs.get(name)?.deadline?.ofRequest(request)).toBe(ms);
});

it('no other verb has one, and each says its own in words', () => {
  const words = [...verbs.values()].flatMap(({ name, deadline }) =>
    deadline === undefined ? [] : [`${name}: ${deadline.words}`],
  );
  expect(words).toEqual([
    'containers.restart: `timeout` (10 s when absent) and 5 s, at most 305 s',
    'containers.stop: `timeout` (10 s when absent) and 5 s, at most 305 s',
    'containers.delete: with `force` `timeout` (10 s when absent) and 5 s, at most 305 s',
  ]);
});

const good = { field: 'timeout', otherwise: 10, margin: 5, max: 305, onlyIf: '' };

it.each([
  [{ field: 'nosuch' }, 'has no field nosuch of type UINT32'],
  [{ field: 'id' }, 'has no field id of type UINT32'],
  [{ onlyIf: 'id' }, 'has no field id of type BOOL'],
  [{ max: 14 }, 'max 14 is below otherwise 10 and margin 5 together'],
])('an option with %j contradicts its message', (change, why) => {
  expect(() => readDeadline({ ...good, ...change }, ContainersDeleteRequestSchema)).toThrow(why);
});
