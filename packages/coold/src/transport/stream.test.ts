import { create, fromBinary } from '@bufbuild/protobuf';
import { VerbError } from '@coold/errors';
import {
  ClientMsgSchema,
  ListContainersReqSchema,
  ListContainersRespSchema,
  maxResponseBytes,
  readVerbs,
  type ServerMsg,
  ServerMsgSchema,
} from '@coold/proto';
import { describe, expect, it } from 'vitest';
import { silent as log } from '../../test/caller.ts';
import { handler } from '../handler.ts';
import type { Call } from '../verbs/calls.ts';
import { joinSurface } from '../verbs/surface.ts';
import { createServeCommands } from './stream.ts';
import { createStreams } from './streams.ts';

const gone = new AbortController().signal;
const list: ServerMsg = create(ServerMsgSchema, {
  requestId: 'r',
  command: { case: 'listContainers', value: {} },
});

/** Commands to the frames that answer them. */
function answering(
  run: () => Promise<{ containers: { id: string }[] }>,
  calls: Call[] = [],
  options: { maxCommands?: number } = {},
) {
  const listContainers = handler(ListContainersReqSchema, ListContainersRespSchema, run);
  const verbs = new Map([...readVerbs()].filter(([name]) => name === 'list_containers'));
  const surface = joinSurface(verbs, { list_containers: listContainers });
  const record = (call: Call) => calls.push(call);
  const serve = createServeCommands({ surface, streams: createStreams(log), record, log, ...options });
  const frames: Buffer[] = [];
  const take = serve({ gone, send: async frame => void frames.push(frame) });
  return async (message: ServerMsg) => {
    await take(message);
    return frames.shift() ?? expect.fail('no answer');
  };
}

async function bodyOf(answer: Promise<Buffer>) {
  const { payload } = fromBinary(ClientMsgSchema, await answer);
  if (payload.case !== 'response') return expect.fail('no response');
  expect(payload.value.requestId).toBe('r');
  return payload.value.body;
}

describe('a command', () => {
  it('is answered by its handler', async () => {
    const answer = answering(() => Promise.resolve({ containers: [{ id: 'c' }] }));
    expect(await bodyOf(answer(list))).toMatchObject({
      case: 'listContainers',
      value: { containers: [{ id: 'c' }] },
    });
  });

  it('that fails is answered with the error, code and field', async () => {
    const answer = answering(() => Promise.reject(new VerbError('conflict', 'in use', { field: 'name' })));
    expect(await bodyOf(answer(list))).toMatchObject({
      case: 'error',
      value: { code: 409, message: 'in use', field: 'name' },
    });
  });

  it('that fails unexpectedly is a 500 without internal details', async () => {
    const answer = answering(() => Promise.reject(new Error('password=secret')));
    expect(await bodyOf(answer(list))).toMatchObject({
      case: 'error',
      value: { code: 500, message: 'internal error' },
    });
  });

  it('whose answer is over 4 MiB is a 413', async () => {
    const answer = answering(() => Promise.resolve({ containers: [{ id: 'x'.repeat(maxResponseBytes) }] }));
    expect(await bodyOf(answer(list))).toMatchObject({ case: 'error', value: { code: 413 } });
  });

  it('is recorded with its status and duration, and nothing of what was said', async () => {
    const calls: Call[] = [];
    await answering(() => Promise.resolve({ containers: [] }), calls)(list);
    await answering(() => Promise.reject(new VerbError('conflict', 'secret')), calls)(list);
    const call = { requestId: 'r', verb: 'list_containers', transport: 'stream' };
    expect(calls).toEqual([
      { ...call, status: 200, durationMs: expect.any(Number) },
      { ...call, status: 409, durationMs: expect.any(Number) },
    ]);
  });

  it('that this host does not serve is a 501', async () => {
    const answer = answering(() => Promise.resolve({ containers: [] }));
    const build = create(ServerMsgSchema, { requestId: 'r', command: { case: 'build', value: {} } });
    expect(await bodyOf(answer(build))).toMatchObject({ case: 'error', value: { code: 501 } });
  });

  it('of a kind unknown here is a 501, and the next is served', async () => {
    const answer = answering(() => Promise.resolve({ containers: [] }));
    const unknown = create(ServerMsgSchema, { requestId: 'r' });
    expect(await bodyOf(answer(unknown))).toMatchObject({ case: 'error', value: { code: 501 } });
    expect(await bodyOf(answer(list))).toMatchObject({ case: 'listContainers' });
  });

  it('of too many is a 503, and there is room when one is done', async () => {
    const gate = Promise.withResolvers<{ containers: [] }>();
    const answer = answering(() => gate.promise, [], { maxCommands: 1 });
    const first = answer(list);
    expect(await bodyOf(answer(list))).toMatchObject({ case: 'error', value: { code: 503 } });
    gate.resolve({ containers: [] });
    expect(await bodyOf(first)).toMatchObject({ case: 'listContainers' });
    expect(await bodyOf(answer(list))).toMatchObject({ case: 'listContainers' });
  });

  it('asked for as a stream by a verb that has none is a 400', async () => {
    const answer = answering(() => Promise.resolve({ containers: [] }));
    const streamed = create(ServerMsgSchema, {
      requestId: 'r',
      command: { case: 'listContainers', value: {} },
      stream: { credit: 5n },
    });
    expect(await bodyOf(answer(streamed))).toMatchObject({
      case: 'error',
      value: { code: 400, field: 'stream' },
    });
  });
});
