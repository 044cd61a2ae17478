import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { readVerbs } from '@coold/proto';
import { createLogger, logFilter } from '@coold/runtime';
import {
  builtOk,
  createStubBuilder,
  type StubBuilder,
  type StubBuilderOptions,
  scratchFolder,
  unixHttp,
} from '@coold/testbed';
import { describe, expect, it, vi } from 'vitest';
import { handleStream } from './agent-service.ts';
import { createVerifier } from './auth.ts';
import { createBuilds } from './builds.ts';
import { createDispatch } from './dispatch.ts';
import { listenGrpc } from './grpc.ts';
import { createHostCounts } from './host-counts.ts';
import { createHosts } from './hosts.ts';
import { createLane } from './lane.ts';
import { createOpenStream } from './open-stream.ts';
import { createPending } from './pending.ts';
import { compileRoutes, largestBody } from './router.ts';
import { createStreams } from './streams.ts';
import { silentOperations } from './testing.ts';
import { generateKeys, mintToken } from './token.ts';

const keys = generateKeys();
const digest = `sha256:${'a'.repeat(64)}`;
const command = {
  repo_url: 'https://git.example/app.git',
  git_ref: 'main',
  target_image: 'localhost/app:v1',
};
const windowBytes = 64 * 1024;
/** Generous, for a machine that is busy; what it waits for is a moment away. */
const soon = (check: () => void) => vi.waitFor(check, { timeout: 20_000 });

/** Both ends of a broker in this process, on a real socket and a real port; hosts are stubs whose builds a test ends. */
async function setUp(options: { max?: number; stalledReplyMs?: number } = {}) {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await scratchFolder());
  const log = createLogger('broker', logFilter.parse('off') ?? expect.fail(), false);
  const hosts = createHosts();
  const pending = createPending({
    ...{ max: options.max ?? 100, timeoutMs: 10_000, landedTtlMs: 30_000, overdueTtlMs: 60_000 },
    landedMaxBytes: 1 << 20,
  });
  const streams = createStreams({ pending, windowBytes, timeoutMs: 10_000 });
  let time = 0;
  const builds = createBuilds({
    ...{ pending, landedTtlMs: 30_000, landedMaxBytes: 1 << 20, hostGraceMs: 900_000 },
    now: () => time,
  });
  const poll = vi.spyOn(builds, 'poll');
  const verify = createVerifier(keys.publicKey);
  const listener = await listenGrpc({
    bind: { host: '127.0.0.1', port: 0 },
    tls: undefined,
    handler: handleStream({
      verify,
      hosts,
      pending,
      streams,
      builds,
      counts: createHostCounts(),
      log,
      helloTimeoutMs: 10_000,
    }),
    keepalive: { everyMs: 30_000, timeoutMs: 10_000 },
    log,
  });
  stack.defer(() => listener.close());
  const routes = compileRoutes(readVerbs());
  const lane = createLane({
    ...{ hosts, streams, builds, log },
    operations: silentOperations,
    dispatch: createDispatch({ hosts, pending, routes, record: () => {} }),
    dispatchBodyBytes: largestBody(routes),
    openStream: createOpenStream({ hosts, streams, routes }),
    ...(options.stalledReplyMs === undefined ? {} : { stalledReplyMs: options.stalledReplyMs }),
  });
  const socketPath = join(folder.path, 'lane.sock');
  await lane.listen(socketPath);
  stack.defer(() => lane.stop(0));
  const http = stack.use(unixHttp(socketPath));
  const get = async (path: string) => {
    const { status, text } = await http.request({ path });
    return { status, body: JSON.parse(text) as Record<string, unknown> };
  };
  const post = async (path: string, json?: unknown) => {
    const { status, text } = await http.request({ method: 'POST', path, json });
    return { status, body: text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>) };
  };
  return {
    ...{ hosts, builds, poll, socketPath, http, get, post, pending, streams },
    dispatch: (requestId: string, more: object = {}, body: object = {}) =>
      post('/v1/build/dispatch', {
        request_id: requestId,
        command: { type: 'static_build', ...command, ...more },
        ...body,
      }),
    result: (requestId: string, timeoutMs?: number | string) =>
      get(`/v1/build/result/${requestId}${timeoutMs === undefined ? '' : `?timeout_ms=${timeoutMs}`}`),
    async builder(hostId: string, more: Partial<StubBuilderOptions> = {}): Promise<StubBuilder> {
      const token = await mintToken(keys.privateKey, { hostId, caps: ['coold', 'builder'], ttlMs: 60_000 });
      const stub = createStubBuilder({ address: listener.address, token, ...more });
      await stub.connect();
      stack.defer(() => stub.cut());
      return stub;
    },
    pass(ms: number) {
      time += ms;
      builds.tick();
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const error = (requestId: string, code: number, message: string, stage: string) => ({
  status: code,
  body: { request_id: requestId, status: 'error', code, message, stage },
});
const cases = ({ commands }: StubBuilder) => commands.map(({ command: { case: kind } }) => kind);

describe('a build', () => {
  it('is taken, built and read once; then its host may remove it', async () => {
    await using lane = await setUp();
    const host = await lane.builder('h');
    expect(await lane.dispatch('b-1')).toEqual({ status: 202, body: { request_id: 'b-1' } });
    const polls = [lane.result('b-1'), lane.result('b-1', 999_999_999)];
    await soon(() => expect(host.builds.has('b-1')).toBe(true));
    expect(host.commands[0]).toMatchObject({ requestId: 'b-1', command: { value: { gitRef: 'main' } } });
    await soon(() => expect(lane.poll).toHaveBeenCalledTimes(2));
    host.finish('b-1', builtOk(digest, 61_000n));
    const read = {
      ...{ request_id: 'b-1', status: 'ok', digest },
      ...{ registry_ref: `localhost/app@${digest}`, duration_ms: 61_000 },
    };
    expect(await Promise.all(polls)).toEqual([
      { status: 200, body: read },
      { status: 200, body: read },
    ]);
    await soon(() => expect(host.builds.size).toBe(0));
    expect(cases(host)).toEqual(['build', 'buildAck']);
    expect(await lane.result('b-1')).toEqual(error('b-1', 404, 'unknown request_id', 'result'));
  });

  it('that fails says so in the envelope, with its stage', async () => {
    await using lane = await setUp();
    const host = await lane.builder('h');
    await lane.dispatch('b');
    await soon(() => expect(host.builds.has('b')).toBe(true));
    const failure = { code: 422, message: 'no such ref', stage: 'git' };
    host.finish('b', { case: 'build', value: { body: { case: 'err', value: failure } } });
    expect(await lane.result('b')).toEqual({
      status: 200,
      body: { request_id: 'b', status: 'error', ...failure },
    });
  });

  it('that its host refuses is the host’s error, and one that answers nonsense is ours', async () => {
    await using lane = await setUp();
    const host = await lane.builder('h');
    for (const id of ['refused', 'empty', 'odd']) await lane.dispatch(id);
    await soon(() => expect(host.builds.size).toBe(3));
    const value = { code: 503, message: 'disk full', field: 'host' };
    host.finish('refused', { case: 'error', value });
    host.finish('empty', { case: 'build', value: {} });
    host.finish('odd', { case: 'listContainers', value: {} });
    expect(await lane.result('refused')).toEqual({
      status: 200,
      body: { request_id: 'refused', status: 'error', stage: 'dispatch', ...value },
    });
    expect(await lane.result('empty')).toMatchObject({ status: 500, body: { stage: 'result' } });
    expect(await lane.result('odd')).toMatchObject({ status: 500, body: { stage: 'result' } });
  });

  it('of a dockerfile needs a host of schema 2', async () => {
    await using lane = await setUp();
    await lane.builder('old', { schemaMax: 1 });
    const more = { type: 'dockerfile_build', build_args: { A: '1' } };
    expect(await lane.dispatch('b', more)).toMatchObject({
      ...{ status: 501, body: { stage: 'dispatch', field: 'command.type' } },
    });
    const young = await lane.builder('young');
    expect((await lane.dispatch('b', more)).status).toBe(202);
    await soon(() => expect(young.commands).toHaveLength(1));
    expect(young.commands[0]?.command.value).toMatchObject({ dockerfileCfg: { buildArgs: { A: '1' } } });
  });
});

describe('dispatch', () => {
  it('is 503 where no host can build it', async () => {
    await using lane = await setUp();
    expect(await lane.dispatch('b')).toEqual(
      error('b', 503, 'no builder-capable host connected', 'dispatch'),
    );
    await lane.builder('plain', { capabilities: ['coold'] });
    const pinned = error('b', 503, 'host has no builder capability', 'dispatch');
    expect(await lane.dispatch('b', {}, { host_id: 'plain' })).toEqual(pinned);
    expect(await lane.dispatch('b', {}, { host_id: 'unknown' })).toEqual(pinned);
  });

  it('is 400 with the field for what is no build, and for a cancel', async () => {
    await using lane = await setUp();
    for (const [more, field] of [
      [{ type: 'cancel' }, 'command.type'],
      [{ git_ref: 1 }, 'command.git_ref'],
    ] as const) {
      const { status, body } = await lane.dispatch('b', more);
      expect([status, body]).toMatchObject([400, { request_id: 'b', stage: 'dispatch', field }]);
    }
    const malformed = await lane.http.request({
      ...{ method: 'POST', path: '/v1/build/dispatch', body: '{' },
      headers: { 'content-type': 'application/json' },
    });
    expect([malformed.status, malformed.json()]).toMatchObject([400, { code: 400, stage: 'dispatch' }]);
  });

  it('is 409 as long as a build has the id, also while its host is away, and on both lanes', async () => {
    await using lane = await setUp();
    const host = await lane.builder('h');
    await lane.dispatch('b');
    const again = {
      ...error('b', 409, 'request_id already in flight', 'dispatch'),
    };
    expect(await lane.dispatch('b')).toEqual({ ...again, body: { ...again.body, field: 'request_id' } });
    const coold = { host_id: 'h', request_id: 'b', command: { type: 'list_containers' } };
    expect((await lane.post('/v1/coold/dispatch', coold)).status).toBe(409);
    host.cut();
    await soon(() => expect(lane.hosts.list()).toEqual([]));
    expect((await lane.dispatch('b')).status).toBe(409);
  });

  it('is 503 at the cap, which counts both lanes', async () => {
    await using lane = await setUp({ max: 2 });
    await lane.builder('h');
    await lane.dispatch('b-1');
    await lane.dispatch('b-2');
    const { status, body } = await lane.dispatch('b-3');
    expect([status, body]).toMatchObject([
      503,
      { message: 'broker at pending-dispatch capacity', stage: 'dispatch' },
    ]);
    const coold = { host_id: 'h', request_id: 'c', command: { type: 'list_containers' } };
    expect((await lane.post('/v1/coold/dispatch', coold)).status).toBe(503);
  });

  it('shares the work by free places, and what is queued can be seen', async () => {
    await using lane = await setUp();
    const large = await lane.builder('large', { capacity: 2 });
    const small = await lane.builder('small', { capacity: 1 });
    for (let n = 0; n < 5; n += 1) await lane.dispatch(`b-${n}`);
    await lane.dispatch('pinned', {}, { host_id: 'small' });
    await soon(() => expect([large.builds.size, small.builds.size]).toEqual([3, 3]));
    const streams = (await lane.get('/v1/streams')).body as unknown as { host_id: string; builds: object }[];
    expect(streams.map(({ host_id, builds }) => [host_id, builds])).toEqual([
      ['large', { running: 2, queued: 1 }],
      ['small', { running: 1, queued: 2 }],
    ]);
  });

  it('is 503 to a host that does not read, and the id is free', async () => {
    await using lane = await setUp();
    await lane.builder('h');
    const [stream] = lane.hosts.list();
    if (stream === undefined) expect.fail();
    lane.hosts.add({ ...stream, send: () => false });
    expect(await lane.dispatch('b')).toEqual(error('b', 503, 'host does not read its stream', 'dispatch'));
    expect(await lane.result('b')).toMatchObject({ status: 404 });
    lane.hosts.add(stream);
    expect((await lane.dispatch('b')).status).toBe(202);
  });
});

describe('a poll', () => {
  it('is 408 after its time, and the build goes on', async () => {
    await using lane = await setUp();
    const host = await lane.builder('h');
    await lane.dispatch('b');
    expect(await lane.result('b', 20)).toEqual(error('b', 408, 'result poll timed out', 'result'));
    host.finish('b', builtOk(digest));
    expect((await lane.result('b')).status).toBe(200);
  });

  it('may wait for longer than a reply may be left unread', async () => {
    await using lane = await setUp({ stalledReplyMs: 20 });
    await lane.builder('h');
    await lane.dispatch('b');
    expect((await lane.result('b', 200)).status).toBe(408);
  });

  it.each(['', '-1', '1.5', 'soon', '1&timeout_ms=2'])('is 400 for timeout_ms=%s', async given => {
    await using lane = await setUp();
    expect(await lane.result('b', given)).toMatchObject({ status: 400, body: { field: 'timeout_ms' } });
  });

  it('whose caller hangs up has read nothing', async () => {
    await using lane = await setUp();
    const host = await lane.builder('h');
    await lane.dispatch('b');
    const request = httpRequest({ socketPath: lane.socketPath, path: '/v1/build/result/b' });
    request.on('error', () => {});
    request.end();
    await soon(() => expect(lane.builds.counts().waiting).toBe(1));
    await once(request, 'socket');
    request.destroy();
    await soon(() => expect(host.builds.has('b')).toBe(true));
    host.finish('b', builtOk(digest));
    await soon(() => expect(lane.builds.counts().landed).toBe(1));
    expect(cases(host)).toEqual(['build']);
    expect((await lane.result('b')).status).toBe(200);
  });

  it('cannot be made by HEAD, which reads nothing', async () => {
    await using lane = await setUp();
    const host = await lane.builder('h');
    await lane.dispatch('b');
    host.finish('b', builtOk(digest));
    const head = httpRequest({
      ...{ method: 'HEAD', socketPath: lane.socketPath },
      path: '/v1/build/result/b',
    });
    head.end();
    const [answer] = (await once(head, 'response')) as [IncomingMessage];
    answer.resume();
    expect(answer.statusCode).toBe(405);
    expect((await lane.result('b')).status).toBe(200);
  });

  it('that comes late is answered by the host', async () => {
    await using lane = await setUp();
    const host = await lane.builder('h');
    await lane.dispatch('b');
    await soon(() => expect(host.builds.has('b')).toBe(true));
    host.finish('b', builtOk(digest));
    await soon(() => expect(lane.builds.counts().landed).toBe(1));
    lane.pass(30_000);
    expect(await lane.result('b')).toMatchObject({ status: 200, body: { digest } });
    await soon(() => expect(cases(host)).toEqual(['build', 'buildResult', 'buildAck']));
  });

  it('is 503 once the host has stayed away for its grace; the result that comes later still wins', async () => {
    await using lane = await setUp();
    const host = await lane.builder('h');
    await lane.dispatch('b');
    await soon(() => expect(host.builds.has('b')).toBe(true));
    host.cut();
    await soon(() => expect(lane.hosts.list()).toEqual([]));
    const waits = lane.result('b');
    expect(await lane.result('b', 1)).toMatchObject({ status: 408 });
    lane.pass(900_000);
    const gone = error('b', 503, 'builder host disconnected', 'result');
    expect([await waits, await lane.result('b')]).toEqual([gone, gone]);
    host.finish('b', builtOk(digest));
    await host.connect();
    expect(await lane.result('b')).toMatchObject({ status: 200, body: { digest } });
  });
});

describe('cancel', () => {
  it('is 204 while the build runs, again too, and 404 once it landed', async () => {
    await using lane = await setUp();
    const host = await lane.builder('h');
    await lane.dispatch('b');
    const cancel = () => lane.post('/v1/build/b/cancel');
    expect([await cancel(), await cancel()]).toEqual([{ status: 204 }, { status: 204 }]);
    await soon(() => expect(cases(host)).toEqual(['build', 'cancelBuild', 'cancelBuild']));
    const cancelled = { code: 499, message: 'cancelled', stage: 'cancel' };
    host.finish('b', { case: 'build', value: { body: { case: 'err', value: cancelled } } });
    await soon(() => expect(lane.builds.counts().landed).toBe(1));
    const landed = error('b', 404, 'request_id not in flight', 'cancel');
    expect(await cancel()).toEqual(landed);
    expect(await lane.result('b')).toMatchObject({ status: 200, body: cancelled });
    expect(await cancel()).toEqual(landed);
    // As PHP posts nothing.
    const headers = { 'content-type': 'application/json' };
    const plain = await lane.http.request({ method: 'POST', path: '/v1/build/unknown/cancel', headers });
    expect(plain.status).toBe(404);
  });

  it('of a build whose host is away is delivered when it returns', async () => {
    await using lane = await setUp();
    const host = await lane.builder('h');
    await lane.dispatch('b');
    await soon(() => expect(host.builds.has('b')).toBe(true));
    host.cut();
    await soon(() => expect(lane.hosts.list()).toEqual([]));
    expect((await lane.post('/v1/build/b/cancel')).status).toBe(204);
    await host.connect();
    await soon(() => expect(cases(host)).toEqual(['build', 'cancelBuild']));
  });
});

describe('events', () => {
  const line = (n: number) => `${JSON.stringify({ type: 'progress', stage: 'git', log: `${n}` })}\n`;
  const lines = (count: number) => Buffer.from(Array.from({ length: count }, (_, n) => line(n)).join(''));

  it('are the host’s lines from the first to the end, for each reader', async () => {
    await using lane = await setUp();
    const host = await lane.builder('h', {
      async onEvents(stream) {
        stream.open();
        await stream.write(lines(10_000));
        stream.end();
      },
    });
    await lane.dispatch('b');
    await soon(() => expect(host.builds.has('b')).toBe(true));
    const read = () => lane.http.request({ path: '/v1/build/b/events' });
    const [one, two] = await Promise.all([read(), read()]);
    host.finish('b', builtOk(digest));
    const three = await read();
    for (const { status, headers, text } of [one, two, three]) {
      expect([status, headers['content-type']]).toEqual([200, 'application/x-ndjson']);
      expect(text === lines(10_000).toString()).toBe(true);
    }
    await soon(() => expect(lane.streams.count()).toBe(0));
  });

  it('are followed, as slowly as their reader likes, until it hangs up', async () => {
    await using lane = await setUp();
    const host = await lane.builder('h', {
      onEvents(stream) {
        stream.open();
        stream.write(lines(100_000)).catch(() => {});
      },
    });
    await lane.dispatch('b');
    await soon(() => expect(host.builds.has('b')).toBe(true));
    const request = httpRequest({ socketPath: lane.socketPath, path: '/v1/build/b/events' });
    request.end();
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    answer.once('data', () => answer.pause());
    // What nobody reads is not asked of the host: its credit comes to an end long before its lines do.
    const granted = () =>
      host.commands.reduce((sum, { command: { case: kind, value } }) => {
        return kind === 'streamCredit' ? sum + Number(value.bytes) : sum;
      }, windowBytes);
    await soon(() => expect(granted()).toBeGreaterThan(windowBytes));
    expect(granted()).toBeLessThan(lines(100_000).length / 2);
    expect((await lane.get('/v1/health')).status, 'nobody else is held up').toBe(200);
    request.destroy();
    await soon(() => expect(cases(host).at(-1)).toBe('streamCancel'));
    expect(lane.streams.count()).toBe(0);
  });

  it('that break off end with a line that says why, never in the middle of one', async () => {
    await using lane = await setUp();
    const half = Buffer.from(`${line(1)}{"type":"progr`);
    const host = await lane.builder('h', {
      onEvents(stream) {
        stream.open();
        stream.push(half);
      },
    });
    await lane.dispatch('b');
    await soon(() => expect(host.builds.has('b')).toBe(true));
    const request = httpRequest({ socketPath: lane.socketPath, path: '/v1/build/b/events' });
    request.end();
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    let text = '';
    answer.on('data', chunk => {
      text += String(chunk);
    });
    await soon(() => expect(text).toBe(half.toString()));
    host.cut();
    await once(answer, 'end');
    expect(text).toBe(`${half}\n{"error":"host disconnected","code":503}\n`);
  });

  it('of a build named "result" are told, and a build named "events" has a result', async () => {
    await using lane = await setUp();
    const host = await lane.builder('h', {
      async onEvents(stream) {
        stream.open();
        await stream.write(lines(2));
        stream.end();
      },
    });
    await lane.dispatch('result');
    await soon(() => expect(host.builds.has('result')).toBe(true));
    const { status, text } = await lane.http.request({ path: '/v1/build/result/events' });
    expect([status, text]).toEqual([200, lines(2).toString()]);
    host.finish('result', builtOk(digest));
    expect(await lane.result('result')).toMatchObject({ status: 200, body: { digest } });
    expect(await lane.result('events')).toEqual(error('events', 404, 'unknown request_id', 'result'));
    await lane.dispatch('events');
    await soon(() => expect(host.builds.has('events')).toBe(true));
    host.finish('events', builtOk(digest));
    expect(await lane.result('events')).toMatchObject({ body: { request_id: 'events', digest } });
  });

  it('are refused where nobody can tell them', async () => {
    await using lane = await setUp();
    const events = (id: string) => lane.get(`/v1/build/${id}/events`);
    expect(await events('b')).toEqual(error('b', 404, 'unknown request_id', 'events'));
    const old = await lane.builder('old', { schemaMax: 1 });
    await lane.dispatch('b');
    expect(await events('b')).toMatchObject({ status: 501, body: { stage: 'events' } });
    await soon(() => expect(old.builds.has('b')).toBe(true));
    old.cut();
    await soon(() => expect(lane.hosts.list()).toEqual([]));
    expect(await events('b')).toEqual(error('b', 503, 'builder host disconnected', 'events'));
    const young = await lane.builder('young');
    await lane.dispatch('c');
    await soon(() => expect(young.builds.has('c')).toBe(true));
    young.builds.delete('c');
    expect(await events('c'), 'the host’s error').toEqual({
      ...{ ...error('c', 404, 'no such build', 'events'), status: 200 },
    });
  });
});
