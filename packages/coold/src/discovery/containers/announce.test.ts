import { create } from '@bufbuild/protobuf';
import {
  ContainersInspectRequestSchema,
  ContainersInspectResponseSchema,
  ContainersStartRequestSchema,
  ContainersStartResponseSchema,
} from '@coold/proto';
import { expect, it } from 'vitest';
import { handler } from '../../handler.ts';
import { announceChanges } from './announce.ts';

const forever = new AbortController().signal;

it('touches a container after a verb that may have changed it, also when the verb failed', async () => {
  const told: string[] = [];
  let failure: Error | undefined;
  const handlers = announceChanges(
    {
      'containers.start': handler(ContainersStartRequestSchema, ContainersStartResponseSchema, async () => {
        expect(told).toEqual([]);
        if (failure !== undefined) throw failure;
        return {};
      }),
      'containers.inspect': handler(
        ContainersInspectRequestSchema,
        ContainersInspectResponseSchema,
        async () => ({}),
      ),
    },
    id => void told.push(id),
  );
  const start = create(ContainersStartRequestSchema, { id: 'web' });
  await handlers['containers.start']?.run(start, forever);
  expect(told.splice(0)).toEqual(['web']);
  await handlers['containers.inspect']?.run(create(ContainersInspectRequestSchema, { id: 'web' }), forever);
  expect(told).toEqual([]);
  failure = new Error('it has started and then died');
  await expect(handlers['containers.start']?.run(start, forever)).rejects.toThrow('died');
  expect(told).toEqual(['web']);
});
