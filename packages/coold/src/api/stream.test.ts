import { create, fromBinary } from '@bufbuild/protobuf';
import {
  ClientMsgSchema,
  ListContainersReqSchema,
  ListContainersRespSchema,
  maxResponseBytes,
  readVerbs,
  type ServerMsg,
  ServerMsgSchema,
} from '@coold/proto';
import { createLogger, type Logger, logFilter } from '@coold/runtime';
import { describe, expect, it } from 'vitest';
import type { Call } from './calls.ts';
import { handler } from './handler.ts';
import { createAnswerCommand } from './stream.ts';
import { joinSurface } from './surface.ts';
import { VerbError } from './verb-error.ts';

const filter = logFilter.parse('off') ?? expect.fail();
const log: Logger = createLogger('coold', filter, false);
const signal = new AbortController().signal;
const list: ServerMsg = create(ServerMsgSchema, {
  requestId: 'r',
  command: { case: 'listContainers', value: {} },
});

function answering(run: () => Promise<{ containers: { id: string }[] }>, calls: Call[] = []) {
  const listContainers = handler(ListContainersReqSchema, ListContainersRespSchema, run);
  const verbs = new Map([...readVerbs()].filter(([name]) => name === 'list_containers'));
  return createAnswerCommand(
    joinSurface(verbs, { list_containers: listContainers }),
    call => calls.push(call),
    log,
  );
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
    expect(await bodyOf(answer(list, signal))).toMatchObject({
      case: 'listContainers',
      value: { containers: [{ id: 'c' }] },
    });
  });

  it('that fails is answered with the error, code and field', async () => {
    const answer = answering(() => Promise.reject(new VerbError(409, 'in use', { field: 'name' })));
    expect(await bodyOf(answer(list, signal))).toMatchObject({
      case: 'error',
      value: { code: 409, message: 'in use', field: 'name' },
    });
  });

  it('that fails as it should not is a 500 that tells nothing of the inside', async () => {
    const answer = answering(() => Promise.reject(new Error('password=secret')));
    expect(await bodyOf(answer(list, signal))).toMatchObject({
      case: 'error',
      value: { code: 500, message: 'internal error' },
    });
  });

  it('whose answer is over 4 MiB is a 413', async () => {
    const answer = answering(() => Promise.resolve({ containers: [{ id: 'x'.repeat(maxResponseBytes) }] }));
    expect(await bodyOf(answer(list, signal))).toMatchObject({ case: 'error', value: { code: 413 } });
  });

  it('is recorded with its status and duration, and nothing of what was said', async () => {
    const calls: Call[] = [];
    await answering(() => Promise.resolve({ containers: [] }), calls)(list, signal);
    await answering(() => Promise.reject(new VerbError(409, 'secret')), calls)(list, signal);
    const call = { requestId: 'r', verb: 'list_containers', transport: 'stream' };
    expect(calls).toEqual([
      { ...call, status: 200, durationMs: expect.any(Number) },
      { ...call, status: 409, durationMs: expect.any(Number) },
    ]);
  });

  it('that this host does not serve is a 501', async () => {
    const answer = answering(() => Promise.resolve({ containers: [] }));
    const build = create(ServerMsgSchema, { requestId: 'r', command: { case: 'build', value: {} } });
    expect(await bodyOf(answer(build, signal))).toMatchObject({ case: 'error', value: { code: 501 } });
  });

  it('of a kind unknown here is a 501, and the next is served', async () => {
    const answer = answering(() => Promise.resolve({ containers: [] }));
    const unknown = create(ServerMsgSchema, { requestId: 'r' });
    expect(await bodyOf(answer(unknown, signal))).toMatchObject({ case: 'error', value: { code: 501 } });
    expect(await bodyOf(answer(list, signal))).toMatchObject({ case: 'listContainers' });
  });
});
