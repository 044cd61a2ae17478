// Builds by way of other brokers: brokers as processes, builders as stubs whose builds a test ends.
import { request } from 'node:http';
import { createCorrosion } from '@coold/corrosion';
import { builtOk, createStubBuilder, type StubBuilder } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Broker, type Ground, startGround } from '../../test/brokers.ts';
import { upsertRoute } from './routes/route.ts';

let ground: Ground;
let b1: Broker;
let b2: Broker;
let b3: Broker;
let builder: StubBuilder;
beforeAll(async () => {
  ground = await startGround();
  [b1, b2, b3] = await Promise.all([ground.start('b1'), ground.start('b2'), ground.start('b3')]);
  builder = createStubBuilder({
    address: b2.grpc,
    token: await ground.token('builder', ['coold', 'builder']),
    onEvents(stream) {
      stream.open();
      stream.push('{"type":"progress","stage":"clone","log":"cloned","percent":10}\n');
      stream.end();
    },
  });
  await builder.connect();
}, 120_000);
afterAll(async () => {
  builder?.cut();
  await ground[Symbol.asyncDispose]();
});

const command = {
  type: 'static_build',
  repo_url: 'https://a/b.git',
  git_ref: 'main',
  target_image: 'localhost/a:1',
};
const give = (broker: Broker, requestId: string, more: object = {}, hostId = 'builder') =>
  broker.ask('POST', '/v1/build/dispatch', {
    host_id: hostId,
    request_id: requestId,
    command: { ...command, ...more },
  });
const result = (broker: Broker, requestId: string, timeoutMs = 30_000) =>
  broker.ask('GET', `/v1/build/result/${requestId}?timeout_ms=${timeoutMs}`);
/** Gives a build by way of a broker that knows the host, and waits until the host has it. */
async function begin(broker: Broker, requestId: string) {
  await soon(async () => expect((await give(broker, requestId)).status).toBe(202));
  await soon(() => expect(builder.builds.has(requestId)).toBe(true));
}
const digest = `sha256:${'a'.repeat(64)}`;

describe('a build for a host of another broker', () => {
  it('is given to it, and its result is had from every broker, which counts as read there', async () => {
    await begin(b1, 'b-1');
    const asked = [b1, b2, b3].map(broker => result(broker, 'b-1'));
    expect(await result(b3, 'b-1', 1)).toMatchObject({
      status: 408,
      body: { request_id: 'b-1', reason: 'result_not_ready', stage: 'result' },
    });
    expect(builder.read.has('b-1')).toBe(false);
    builder.finish('b-1', builtOk(digest, 7n));
    for (const answer of await Promise.all(asked))
      expect(answer).toEqual({
        status: 200,
        body: {
          request_id: 'b-1',
          status: 'ok',
          digest,
          duration_ms: 7,
          registry_ref: `localhost/app@${digest}`,
        },
      });
    await soon(() => expect(builder.read.has('b-1')).toBe(true));
    expect(await result(b1, 'b-1'), 'again').toMatchObject({ status: 200 });
  });

  it('fails as it would there: code, reason, stage and field', async () => {
    const wrongs: [object, object][] = [
      [{ repo_url: '' }, { code: 400, reason: 'invalid_request', field: 'command.repo_url' }],
      [{ no_such_field: 1 }, { code: 400, field: 'command.no_such_field' }],
    ];
    for (const [more, error] of wrongs) {
      const there = await give(b2, 'wrong', more);
      expect(there.body).toMatchObject(error);
      expect(await give(b1, 'wrong', more)).toEqual(there);
    }
    await begin(b1, 'b-2');
    const taken = await give(b2, 'b-2');
    expect(taken).toMatchObject({ status: 409, body: { reason: 'request_id_in_flight', stage: 'dispatch' } });
    expect(await give(b1, 'b-2')).toEqual(taken);
    builder.finish('b-2', {
      case: 'build',
      value: { body: { case: 'err', value: { code: 422, message: 'no such ref', stage: 'clone' } } },
    });
    const failed = await result(b3, 'b-2');
    expect(failed).toMatchObject({ status: 200, body: { status: 'error', code: 422, stage: 'clone' } });
    expect(await result(b2, 'b-2')).toEqual(failed);
  });

  it('is followed, cancelled and forgotten by way of every broker', async () => {
    await begin(b1, 'b-3');
    for (const broker of [b1, b3]) {
      expect(await broker.ask('GET', '/v1/build/b-3/events')).toEqual({
        status: 200,
        body: { type: 'progress', stage: 'clone', log: 'cloned', percent: 10 },
      });
      expect(await broker.ask('DELETE', '/v1/build/b-3')).toMatchObject({
        status: 409,
        body: { reason: 'build_not_ended', stage: 'delete' },
      });
      expect((await broker.ask('POST', '/v1/build/b-3/cancel')).status).toBe(204);
    }
    // Each broker's cancel has gone down the host's stream.
    const cancels = () => builder.commands.filter(({ command: { case: kind } }) => kind === 'cancelBuild');
    await soon(() => expect(cancels()).toHaveLength(2));
    builder.finish('b-3', {
      case: 'build',
      value: { body: { case: 'err', value: { code: 499, message: 'cancelled', stage: 'cancel' } } },
    });
    await soon(async () =>
      expect(await b3.ask('POST', '/v1/build/b-3/cancel')).toMatchObject({
        status: 404,
        body: { message: 'request_id not in flight', stage: 'cancel' },
      }),
    );
    expect((await b3.ask('DELETE', '/v1/build/b-3')).status).toBe(204);
    for (const broker of [b1, b2, b3])
      expect(await result(broker, 'b-3')).toMatchObject({
        status: 404,
        body: { message: 'unknown request_id', stage: 'result' },
      });
  });

  it('that no caller reads to its end stays unread', async () => {
    await begin(b2, 'b-4');
    const left = new AbortController();
    const path = '/v1/build/result/b-4';
    const gone = new Promise(resolve => {
      const asked = request({ socketPath: b1.socketPath, path, signal: left.signal }, () => {});
      asked.on('error', resolve);
      asked.end();
    });
    // On the same connection, and after it: then the first one waits there.
    expect((await result(b1, 'b-4', 1)).status).toBe(408);
    left.abort();
    await gone;
    builder.finish('b-4', builtOk(digest));
    // The host answers this after all that it was told before.
    expect((await b2.ask('GET', '/v1/build/b-4/events')).status).toBe(200);
    expect(builder.read.has('b-4')).toBe(false);
    expect((await result(b3, 'b-4')).status).toBe(200);
    await soon(() => expect(builder.read.has('b-4')).toBe(true));
  });
});

it('a build that no broker has is unknown, and asked of each once', async () => {
  for (const path of ['result/nothing', 'nothing/events'])
    expect(await b1.ask('GET', `/v1/build/${path}`)).toMatchObject({
      status: 404,
      body: { reason: 'request_id_unknown' },
    });
});

it('what is led astray goes no further: the broker that is asked does not ask another', async () => {
  // Two brokers of which each is said to have the host.
  const corrosion = createCorrosion({ url: ground.corrosionUrl, tokenFile: undefined });
  const route = { hostId: 'ghost', connectedAt: Date.now() };
  await corrosion.execute(
    [
      upsertRoute({ ...route, brokerId: 'b2', address: b2.address }),
      upsertRoute({ ...route, brokerId: 'b1', address: b1.address, connectedAt: route.connectedAt - 1 }),
    ],
    AbortSignal.timeout(10_000),
  );
  const forwards = async (broker: Broker) =>
    /^broker_build_forwards_total\{.*$/m.exec(await broker.metrics())?.[0];
  const before = await forwards(b2);
  await soon(async () =>
    expect(await give(b1, 'astray', {}, 'ghost')).toMatchObject({
      status: 503,
      body: { reason: 'host_place_unknown', message: expect.stringContaining('does not have it any more') },
    }),
  );
  expect(await forwards(b2)).toBe(before);
});

it('a broker that dies meanwhile is reported, and the build is found at the broker where its host reconnects', async () => {
  const b4 = await ground.start('b4');
  const moving = createStubBuilder({
    address: b4.grpc,
    token: await ground.token('moving', ['coold', 'builder']),
  });
  await moving.connect();
  await soon(async () => expect((await give(b1, 'b-5', {}, 'moving')).status).toBe(202));
  await soon(() => expect(moving.builds.has('b-5')).toBe(true));
  const asked = result(b1, 'b-5');
  await soon(async () => expect(await b4.metrics()).toContain('broker_builds{state="waiting"} 1'));
  b4.program.signal('SIGKILL');
  expect(await asked).toMatchObject({
    status: 503,
    body: {
      reason: 'peer_unreachable',
      stage: 'result',
      message: expect.stringMatching(
        new RegExp(`^host moving is connected to broker b4 at ${b4.address}, which `),
      ),
    },
  });
  expect(await give(b1, 'b-6', {}, 'moving')).toMatchObject({ status: 503, body: { stage: 'dispatch' } });
  await moving.connect(b3.grpc);
  moving.finish('b-5', builtOk(digest));
  await soon(async () => expect(await result(b1, 'b-5')).toMatchObject({ status: 200, body: { digest } }));
  expect(await result(b2, 'b-5')).toMatchObject({ status: 200 });
  moving.cut();
}, 120_000);
