import { join } from 'node:path';
import { create, fromBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { BuildStack, ClientMsgSchema, type Response, ServerMsgSchema } from '@coold/proto';
import { scratchFolder } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { describe, expect, it } from 'vitest';
import { silent as log } from '../../test/caller.ts';
import { noNetworks, simulateSystemd } from '../../test/simulated-systemd.ts';
import { createServeCommands } from '../transport/stream.ts';
import { createStreams } from '../transport/streams.ts';
import { createBuilds } from './builds.ts';
import { Driver } from './driver.ts';
import { createWorkFolders } from './folder/work-folder.ts';

type Command = NonNullable<MessageInitShape<typeof ServerMsgSchema>['command']>;

const digest = `sha256:${'a'.repeat(64)}`;
const content = { digest, registry_ref: `x@${digest}`, duration_ms: 5, stack_used: 'static' };
const limits = { memoryMax: '2G', cpuQuota: '200%', diskMax: '10G', inodesMax: '2000000', cacheMax: '5G' };
const config = { bin: '/b', timeoutSecs: 60, ...limits, denyNets: [] };
const value = {
  repoUrl: 'https://git.example/app.git',
  gitRef: 'main',
  targetImage: 'x',
  stack: BuildStack.STATIC,
};

/** A host's streams to the broker, one after the other. */
async function setUp() {
  const scratch = await scratchFolder();
  const folders = createWorkFolders(join(scratch.path, 'work'));
  const simulated = simulateSystemd();
  const stop = new AbortController();
  const builds = createBuilds({
    folders,
    log,
    capacity: 2,
    stop: stop.signal,
    unitStates: async () => new Map(),
    driver: new Driver({ folders, systemd: simulated.systemd, networks: noNetworks, config, log }),
  });
  await builds.adopt();
  const connect = () => {
    const answers: Response[] = [];
    const gone = new AbortController();
    const take = createServeCommands({
      surface: new Map(),
      streams: createStreams(log),
      builds,
      record: () => {},
      log,
    })({
      gone: gone.signal,
      async send(frame) {
        const { payload } = fromBinary(ClientMsgSchema, frame);
        if (payload.case === 'response' && !gone.signal.aborted) answers.push(payload.value);
      },
    });
    return {
      answers,
      drop: () => gone.abort(),
      say: (requestId: string, command: Command, credit?: bigint) =>
        take(
          create(ServerMsgSchema, {
            requestId,
            command,
            ...(credit === undefined ? {} : { stream: { credit } }),
          }),
        ),
    };
  };
  return {
    connect,
    simulated,
    builds,
    started: (id: string) => soon(() => expect(simulated.started).toContain(id)),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

describe('the build commands of a stream', () => {
  it('are answered on the stream that exists when the build ends', async () => {
    await using host = await setUp();
    const first = host.connect();
    await first.say('b', { case: 'build', value });
    await host.started('b');
    first.drop();
    const second = host.connect();
    await host.simulated.end('b', { name: 'result.json', content });
    await soon(() => expect(second.answers).toHaveLength(1));
    expect(second.answers[0]).toMatchObject({
      requestId: 'b',
      body: { case: 'build', value: { body: { case: 'ok' } } },
    });
    expect(first.answers).toEqual([]);
    // A broker that has forgotten asks again, also after it was read; one whose caller wants it no more says so.
    await second.say('b', { case: 'buildResult', value: {} });
    expect(second.answers[1]).toEqual(second.answers[0]);
    await second.say('b', { case: 'buildAck', value: {} });
    await second.say('b', { case: 'buildResult', value: {} });
    expect(second.answers[2]).toEqual(second.answers[0]);
    await second.say('b', { case: 'buildAck', value: { remove: true } });
    await second.say('b', { case: 'buildResult', value: {} });
    expect(second.answers[3]).toMatchObject({ body: { case: 'error', value: { code: 404 } } });
    expect(second.answers).toHaveLength(4);
  });

  it('tell a new stream of what ended while there was none', async () => {
    await using host = await setUp();
    const first = host.connect();
    await first.say('b', { case: 'build', value });
    await host.started('b');
    first.drop();
    await host.simulated.end('b', { name: 'result.json', content });
    await soon(() => expect(host.builds.result('b')).toBeDefined());
    const second = host.connect();
    await soon(() => expect(second.answers).toHaveLength(1));
    // Once: from the next on it is named in Hello, and asked for.
    expect(host.connect().answers).toEqual([]);
  });

  it('that are refused are answered with an Error naming the field; cancel and ack are not answered', async () => {
    await using host = await setUp();
    const stream = host.connect();
    await stream.say('b', { case: 'build', value: { ...value, gitRef: '--upload-pack=x' } });
    expect(stream.answers).toMatchObject([
      { requestId: 'b', body: { case: 'error', value: { code: 400, field: 'git_ref' } } },
    ]);
    await stream.say('b', { case: 'cancelBuild', value: {} });
    await stream.say('b', { case: 'buildAck', value: {} });
    expect(stream.answers).toHaveLength(1);
  });

  it('stream the progress of a build to its end', async () => {
    await using host = await setUp();
    const stream = host.connect();
    await stream.say('b', { case: 'build', value });
    await host.started('b');
    const events = stream.say('e', { case: 'buildEvents', value: { buildId: 'b' } }, 1_000_000n);
    const frames = () =>
      stream.answers.flatMap(({ body }) =>
        body.case === 'streamFrame' ? [Buffer.from(body.value.data).toString()] : [],
      );
    await soon(() => expect(frames().join('')).toContain('"stage":"git"'));
    await host.simulated.end('b', undefined);
    await events;
    const lines = frames().join('').trim().split('\n');
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ type: 'error', err: { code: 500 } });
    expect(stream.answers.filter(({ requestId }) => requestId === 'e').at(-1)?.body.case).toBe('streamEnd');
    await stream.say('x', { case: 'buildEvents', value: { buildId: 'none' } }, 1n);
    await stream.say('y', { case: 'buildEvents', value: { buildId: 'b' } });
    const errors = stream.answers.filter(({ body }) => body.case === 'error');
    expect(errors).toMatchObject([
      { requestId: 'x', body: { value: { code: 404 } } },
      { requestId: 'y', body: { value: { code: 400, field: 'stream' } } },
    ]);
  });
});
