import { connect } from 'node:net';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { readVerbs } from '@coold/proto';
import { type PodmanService, scratchFolder, startPodman } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { Agent, type Dispatcher, request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { caller, silent } from '../../test/caller.ts';
import { createPodman } from '../podman/client.ts';
import { createEndProgram } from '../processes/end-program.ts';
import { createProcessTable } from '../processes/process-table.ts';
import type { Call } from '../verbs/calls.ts';
import { containerOutputHandlers } from '../verbs/container/container-output.ts';
import { joinSurface } from '../verbs/surface.ts';
import { createHttpServer, defaultLimits } from './http-server.ts';
import { createMetrics } from './metrics.ts';
import { createRest } from './rest.ts';
import { restRoutes } from './rest-route.ts';
import { createStreams } from './streams.ts';

const shell = (script: string) => ['/bin/busybox', 'sh', '-c', script];

describe('streams over REST, of a real Podman', () => {
  const stack = new AsyncDisposableStack();
  const calls: Call[] = [];
  let podman: PodmanService;
  let handlers: ReturnType<typeof containerOutputHandlers>;
  let dispatcher: Agent;
  let origin: string;
  beforeAll(async () => {
    const folder = stack.use(await scratchFolder());
    podman = stack.use(await startPodman(join(folder.path, 'podman')));
    handlers = containerOutputHandlers(
      createPodman(podman.socketPath).containers,
      createEndProgram(createProcessTable(), silent),
    );
    const verbs = new Map([...readVerbs()].filter(([name]) => Object.hasOwn(handlers, name)));
    const handle = await createRest({
      routes: restRoutes(joinSurface(verbs, handlers)),
      mayCall: header => header === 'Bearer token',
      metrics: createMetrics('1'),
      document: undefined,
      record: call => calls.push(call),
      streams: createStreams(silent),
      log: silent,
    });
    // A body that is read as it comes is not bound by the time of the others.
    const limits = { ...defaultLimits, requestTimeoutMs: 500, stalledReplyMs: 1000 };
    const server = createHttpServer({ handle, tls: undefined, limits, log: silent });
    stack.defer(() => server.close(0));
    origin = `http://${await server.listen({ host: '127.0.0.1', port: 0 })}`;
    dispatcher = stack.adopt(new Agent(), it => it.destroy());
    await podman.runTiny('idle');
    await podman.runTiny('other');
  });
  afterAll(() => stack.disposeAsync());

  async function ask(
    method: Dispatcher.HttpMethod,
    path: string,
    options: { json?: unknown; lines?: string | Readable; headers?: Record<string, string> } = {},
  ) {
    const { json, lines, headers } = options;
    const leave = new AbortController();
    const type = json === undefined ? 'application/x-ndjson' : 'application/json';
    const answer = await request(`${origin}/api/v1/containers/${path}`, {
      dispatcher,
      method,
      signal: leave.signal,
      headers: {
        authorization: 'Bearer token',
        ...(json === undefined && lines === undefined ? {} : { 'content-type': type }),
        ...headers,
      },
      body: lines ?? (json === undefined ? null : JSON.stringify(json)),
    });
    let text = '';
    const ended = (async () => {
      for await (const chunk of answer.body.setEncoding('utf8')) text += String(chunk);
    })();
    ended.catch(() => {});
    const parsed = () =>
      text
        .split('\n')
        .slice(0, -1)
        .map(line => JSON.parse(line) as Record<string, unknown>);
    return {
      status: answer.statusCode,
      headers: answer.headers,
      ended,
      leave: () => leave.abort(),
      lines: parsed,
      data: () =>
        parsed()
          .map(({ data }) => data ?? '')
          .join(''),
      async json() {
        await ended;
        return JSON.parse(text) as unknown;
      },
    };
  }
  const exec = (json: object, headers: Record<string, string> = {}, id = 'idle') =>
    ask('POST', `${id}/exec`, { json, headers });
  const input = (session: unknown, lines: string | Readable, id = 'idle') =>
    ask('POST', `${id}/exec/${String(session)}/input`, { lines });
  const lines = (...values: object[]) => values.map(value => `${JSON.stringify(value)}\n`).join('');
  async function processes(): Promise<string> {
    const { output } = (await caller(handlers)('containers.exec', {
      id: 'idle',
      cmd: ['/bin/busybox', 'ps'],
    })) as { output: string };
    return output;
  }

  it('logs come line by line, later ones too, until the container stops', async () => {
    const command = [
      'sh',
      '-c',
      'echo one; echo two >&2; read line </f; echo $line; exec /bin/busybox sleep 1000',
    ];
    const create = {
      name: 'writer',
      image: 'localhost/tiny:latest',
      command: ['sh', '-c', `/bin/busybox mkfifo /f; ${command[2]}`],
    };
    for (const [path, json] of [
      ['create', create],
      ['writer/start', undefined],
    ] as const)
      await podman.request({ method: 'POST', path: `/v4.0.0/libpod/containers/${path}`, json });
    const following = await ask('GET', 'writer/logs?follow=true');
    expect([following.status, following.headers['content-type']]).toEqual([200, 'application/x-ndjson']);
    await soon(() => expect(following.lines()).toHaveLength(2));
    expect(following.lines()).toContainEqual({ stream: 'stderr', data: 'two\n' });
    await (await exec({ cmd: shell('echo later >/f') }, {}, 'writer')).ended;
    await soon(() => expect(following.lines()[2]).toEqual({ stream: 'stdout', data: 'later\n' }));
    const past = await ask('GET', 'writer/logs?tail=1&stdout=1');
    await past.ended;
    expect(past.lines()).toEqual([{ stream: 'stdout', data: 'later\n' }]);
    await podman.request({ method: 'POST', path: '/v4.0.0/libpod/containers/writer/stop?timeout=0' });
    await following.ended;
    expect(following.lines()).toHaveLength(3);
  });

  it('a program has its output and its exit code', async () => {
    const answer = await exec({ cmd: shell('echo out; printf "\\377"; exit 3') }, { 'x-request-id': 'e1' });
    expect(answer.headers).toMatchObject({
      'content-type': 'application/x-ndjson',
      'x-request-id': 'e1',
      'x-exec-session': 'e1',
    });
    await answer.ended;
    const all = answer.lines();
    expect(all.at(-1)).toEqual({ exit_code: 3 });
    expect(all.at(-2)).toMatchObject({ stream: 'stdout', encoding: 'base64' });
    await soon(() =>
      expect(calls).toContainEqual(
        expect.objectContaining({ requestId: 'e1', verb: 'containers.exec', transport: 'rest', status: 200 }),
      ),
    );
  });

  it('a program reads what is brought to its session', async () => {
    const answer = await exec({ cmd: ['/bin/busybox', 'cat'] });
    const session = answer.headers['x-exec-session'];
    const base64 = { stdin: Buffer.from('héllo').toString('base64'), encoding: 'base64' };
    expect((await input(session, lines({ stdin: 'one ' }, base64))).status).toBe(204);
    await soon(() => expect(answer.data()).toBe('one héllo'));
    expect((await input(session, lines({ stdin: '!' }, { eof: true }))).status).toBe(204);
    await answer.ended;
    expect([answer.data(), answer.lines().at(-1)]).toEqual(['one héllo!', { exit_code: 0 }]);
    expect((await input(session, lines({ eof: true }))).status).toBe(404);
  });

  it('a terminal has the size that is brought to it', async () => {
    const answer = await exec({ cmd: shell('while read l; do /bin/busybox stty size; done'), tty: true });
    const session = answer.headers['x-exec-session'];
    await soon(async () => {
      await input(session, lines({ resize: { cols: 99, rows: 11 } }, { stdin: '\n' }));
      await soon(() => expect(answer.data()).toContain('11 99\r\n'), { timeout: 1000 });
    });
    answer.leave();
  });

  it('large input arrives as fast as it is read, and completely', async () => {
    const answer = await exec({ cmd: shell('/bin/busybox sleep 2; /bin/busybox wc -c') });
    const chunk = lines({ stdin: 'x'.repeat(500_000) });
    let produced = 0;
    const body = Readable.from(
      (function* () {
        for (; produced < 40; produced += 1) yield chunk;
        yield lines({ eof: true });
      })(),
      { objectMode: false, highWaterMark: 65_536 },
    );
    const bringing = input(answer.headers['x-exec-session'], body);
    // The program sleeps longer than others have for a whole body, and what is on its way is not all of it.
    await soon(() => expect(produced).toBeGreaterThan(0));
    expect((await bringing).status).toBe(204);
    await answer.ended;
    expect([answer.data(), answer.lines().at(-1)]).toEqual([`${40 * 500_000}\n`, { exit_code: 0 }]);
  });

  it('input is one caller’s at a time, and ends with its session', async () => {
    const answer = await exec({ cmd: shell('read line; echo got $line') });
    const session = answer.headers['x-exec-session'];
    const body = new PassThrough();
    const first = input(session, body);
    const size = lines({ resize: { cols: 1, rows: 1 } });
    body.write(size);
    await soon(async () => expect((await input(session, size)).status).toBe(409));
    body.write(lines({ stdin: 'it\n' }));
    await answer.ended;
    expect(answer.data()).toBe('got it\n');
    const { status, json } = await first;
    expect([status, await json()]).toEqual([
      404,
      { error: 'the stream has ended', reason: 'session_not_found' },
    ]);
    body.destroy();
  });

  it.each<[string, object]>([
    ['{"stdin":"a"}\n{"resize":{"cols":0,"rows":1}}\n', { field: 'lines[1].resize.cols' }],
    ['nonsense', { field: 'lines[0]' }],
    [`{"stdin":"${'x'.repeat(1 << 20)}"}`, { field: 'lines[0]' }],
  ])('input that is wrong is 400 and names line and field', async (text, error) => {
    const answer = await exec({ cmd: ['/bin/busybox', 'cat'] });
    const session = answer.headers['x-exec-session'];
    const refused = await input(session, text);
    expect([refused.status, await refused.json()]).toMatchObject([400, error]);
    expect((await input(session, lines({ stdin: 'b' }, { eof: true }))).status).toBe(204);
    await answer.ended;
    expect(answer.data()).toBe(text.startsWith('{"stdin":"a"}') ? 'ab' : 'b');
  });

  it('input for an unknown session, or one of another container, is 404', async () => {
    const answer = await exec({ cmd: ['/bin/busybox', 'cat'] }, { 'x-request-id': 'mine' });
    expect((await input('nosuch', lines({ eof: true }))).status).toBe(404);
    expect((await input('mine', lines({ eof: true }), 'other')).status).toBe(404);
    expect((await ask('GET', 'idle/exec/mine/input')).status).toBe(405);
    const wrong = await ask('POST', 'idle/exec/mine/input', {
      lines: '{"eof":true}',
      headers: { 'content-type': 'text/plain' },
    });
    expect([wrong.status, await wrong.json()]).toEqual([
      415,
      { error: 'content-type: expected application/x-ndjson', reason: 'media_type' },
    ]);
    const twice = await exec({ cmd: ['/bin/busybox', 'true'] }, { 'x-request-id': 'mine' });
    expect([twice.status, await twice.json()]).toMatchObject([409, { field: 'x-request-id' }]);
    expect((await input('mine', lines({ eof: true }))).status).toBe(204);
    await answer.ended;
  });

  it.each<[object, string, number, object]>([
    [{ cmd: [] }, 'idle', 400, { field: 'cmd' }],
    [{ cmd: ['a'], nosuch: 1 }, 'idle', 400, { field: 'nosuch' }],
    [{ cmd: ['a'] }, 'nosuch', 404, {}],
  ])(
    'what is wrong before it begins is an error of the usual kind: %j in %s',
    async (json, id, status, error) => {
      const answer = await exec(json, {}, id);
      expect(answer.headers['content-type']).toMatch(/^application\/json/);
      expect([answer.status, await answer.json()]).toMatchObject([status, error]);
    },
  );

  it('a program whose caller hangs up is ended', async () => {
    const answer = await exec({ cmd: shell('/bin/busybox sleep 77777') }, { 'x-request-id': 'left' });
    await soon(async () => expect(await processes()).toContain('sleep 77777'));
    answer.leave();
    await soon(async () => expect(await processes()).not.toContain('sleep 77777'));
    await soon(() =>
      expect(calls).toContainEqual(expect.objectContaining({ requestId: 'left', status: 499 })),
    );
  });

  it('a caller that does not read is let go, and its program ended', async () => {
    const { hostname, port } = new URL(origin);
    const socket = connect(Number(port), hostname);
    const body = JSON.stringify({ cmd: ['/bin/busybox', 'yes', '88888'] });
    socket.on('error', () => {});
    socket.pause();
    socket.write(
      `POST /api/v1/containers/idle/exec HTTP/1.1\r\nhost: x\r\nauthorization: Bearer token\r\nx-request-id: stalled\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await soon(() =>
      expect(calls).toContainEqual(expect.objectContaining({ requestId: 'stalled', status: 499 })),
    );
    await soon(async () => expect(await processes()).not.toContain('88888'));
    socket.destroy();
  });

  it('an error after the beginning is the last line', async () => {
    const answer = await exec({ cmd: ['/bin/busybox', 'cat'] }, { 'x-request-id': 'broken' });
    const following = await ask('GET', 'other/logs?follow=1');
    await podman.kill();
    await Promise.all([answer.ended, following.ended]);
    for (const stream of [answer, following])
      expect(stream.lines().at(-1)).toEqual({
        error: expect.stringContaining('podman') as string,
        code: 502,
        reason: 'podman_failed',
      });
    await soon(() =>
      expect(calls).toContainEqual(expect.objectContaining({ requestId: 'broken', status: 502 })),
    );
  });
});
