import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { type Response, ResponseSchema, readVerbs, type ServerMsg, type Verb } from '@coold/proto';
import { createLogger, logFilter } from '@coold/runtime';
import { scratchFolder, unixHttp } from '@coold/testbed';
import { describe, expect, it, vi } from 'vitest';
import { createDispatch } from './dispatch.ts';
import { createHosts, type HostStream } from './hosts.ts';
import { createLane } from './lane.ts';
import { createPending } from './pending.ts';
import { compileRoutes } from './router.ts';

type ResponseBody = Response['body'];
const containers: ResponseBody = {
  case: 'listContainers',
  value: create(ResponseSchema, {
    body: {
      case: 'listContainers',
      value: {
        containers: [{ id: 'c1', name: 'web', image: 'nginx', state: 'running', networks: ['podman'] }],
      },
    },
  }).body.value as never,
};

/** A lane on a real socket, and a host whose answers the test decides; its stream is a stand-in. */
async function setUp(
  options: {
    timeoutMs?: number;
    max?: number;
    schemaMax?: number;
    verbs?: Map<string, Verb>;
    stalledReplyMs?: number;
  } = {},
) {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await scratchFolder());
  const hosts = createHosts();
  const pending = createPending({
    max: options.max ?? 100,
    timeoutMs: options.timeoutMs ?? 5000,
    landedTtlMs: 30_000,
    overdueTtlMs: 60_000,
    landedMaxBytes: 1 << 20,
  });
  const lane = createLane({
    dispatch: createDispatch({ hosts, pending, routes: compileRoutes(options.verbs ?? readVerbs()) }),
    hosts,
    log: createLogger('broker', logFilter.parse('off') ?? expect.fail(), false),
    ...(options.stalledReplyMs === undefined ? {} : { stalledReplyMs: options.stalledReplyMs }),
  });
  const socketPath = join(folder.path, 'lane.sock');
  await lane.listen(socketPath);
  stack.defer(() => lane.stop(0));
  const http = stack.use(unixHttp(socketPath));
  const sent: ServerMsg[] = [];
  const host: HostStream = {
    hostId: 'h',
    tokenId: undefined,
    tokenExpiresAt: Number.POSITIVE_INFINITY,
    capabilities: ['coold'],
    builderCapacity: 0,
    cooldVersion: '1.2.3',
    schemaMax: options.schemaMax ?? 2,
    connectedAt: new Date(0),
    send: message => sent.push(message) > 0,
    close: () => {},
  };
  hosts.add(host);
  const answer = (requestId: string, body: ResponseBody) =>
    pending.answer(host, create(ResponseSchema, { requestId, body }), 10);
  const dispatch = (body: object) => http.request({ method: 'POST', path: '/v1/coold/dispatch', json: body });
  const list = (requestId: string, extra: object = {}) =>
    dispatch({ host_id: 'h', request_id: requestId, command: { type: 'list_containers' }, ...extra });
  return {
    lane,
    hosts,
    pending,
    host,
    http,
    sent,
    answer,
    dispatch,
    list,
    socketPath,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe('dispatch', () => {
  it('sends the command to the host and its answer back', async () => {
    await using lane = await setUp();
    const reply = lane.list('r-1');
    await vi.waitFor(() => expect(lane.sent).toHaveLength(1));
    expect(lane.sent[0]).toMatchObject({ requestId: 'r-1', command: { case: 'listContainers' } });
    expect(lane.answer('r-1', containers)).toBe('delivered');
    const { status, text } = await reply;
    expect(status).toBe(200);
    expect(JSON.parse(text)).toEqual({
      request_id: 'r-1',
      status: 'ok',
      data: [{ id: 'c1', name: 'web', image: 'nginx', state: 'running', networks: ['podman'] }],
    });
  });

  it('gives a host’s error as 200 with the envelope’s status error, and its field', async () => {
    await using lane = await setUp();
    const reply = lane.list('r-1');
    await vi.waitFor(() => expect(lane.sent).toHaveLength(1));
    const error = create(ResponseSchema, {
      body: { case: 'error', value: { code: 404, message: 'no such container', field: 'id' } },
    });
    lane.answer('r-1', error.body);
    const { status, text } = await reply;
    expect([status, JSON.parse(text)]).toEqual([
      200,
      { request_id: 'r-1', status: 'error', code: 404, message: 'no such container', field: 'id' },
    ]);
  });

  it('is 500 when the host answers something else, or nothing it knows', async () => {
    await using lane = await setUp();
    const wrong = create(ResponseSchema, { body: { case: 'build', value: {} } }).body;
    for (const [id, body] of [
      ['r-1', wrong],
      ['r-2', { case: undefined }],
    ] as const) {
      const reply = lane.list(id);
      await vi.waitFor(() => expect(lane.sent.at(-1)?.requestId).toBe(id));
      lane.answer(id, body);
      const { status, text } = await reply;
      expect(status).toBe(500);
      expect(JSON.parse(text)).toMatchObject({ request_id: id, status: 'error', code: 500 });
    }
  });

  it('is 404 for a host that is not connected', async () => {
    await using lane = await setUp();
    const { status, text } = await lane.list('r', { host_id: 'elsewhere' });
    expect([status, JSON.parse(text)]).toEqual([
      404,
      { request_id: 'r', status: 'error', code: 404, message: 'host not connected' },
    ]);
  });

  it('is 501 for a verb above the host’s schema, and the host is not sent it', async () => {
    const [[name, verb] = []] = readVerbs();
    const verbs = new Map([[name ?? '', { ...(verb as Verb), schema: 2 }]]);
    await using lane = await setUp({ schemaMax: 1, verbs });
    const { status, text } = await lane.list('r');
    expect(status).toBe(501);
    expect(text).toMatch(/schema 2.*up to 1/);
    expect(lane.sent).toEqual([]);
  });

  it('is 409 while the same id is under way, and free again after its reply', async () => {
    await using lane = await setUp();
    const first = lane.list('r');
    await vi.waitFor(() => expect(lane.sent).toHaveLength(1));
    expect((await lane.list('r')).status).toBe(409);
    lane.answer('r', containers);
    expect((await first).status).toBe(200);
    const again = lane.list('r');
    await vi.waitFor(() => expect(lane.sent).toHaveLength(2));
    lane.answer('r', containers);
    expect((await again).status).toBe(200);
  });

  it('is 503 at the cap', async () => {
    await using lane = await setUp({ max: 1 });
    const first = lane.list('r-1');
    await vi.waitFor(() => expect(lane.sent).toHaveLength(1));
    const { status, text } = await lane.list('r-2');
    expect([status, JSON.parse(text)]).toMatchObject([
      503,
      { message: 'broker at pending-dispatch capacity' },
    ]);
    lane.answer('r-1', containers);
    await first;
  });

  it('is 503 at once when the stream drops', async () => {
    await using lane = await setUp();
    const reply = lane.list('r');
    await vi.waitFor(() => expect(lane.sent).toHaveLength(1));
    const dropped = performance.now();
    lane.pending.disconnected(lane.host);
    expect((await reply).status).toBe(503);
    expect(performance.now() - dropped).toBeLessThan(1000);
  });

  it('is 503 when the host has left too much unread, and its id stays free', async () => {
    await using lane = await setUp();
    lane.hosts.add({ ...lane.host, send: () => false });
    expect((await lane.list('r')).status).toBe(503);
    expect(lane.pending.counts().waiting).toBe(0);
  });

  it('is 504 after the timeout; the late answer is there for a repeated dispatch, once', async () => {
    await using lane = await setUp({ timeoutMs: 100 });
    const { status, text } = await lane.list('r');
    expect([status, JSON.parse(text)]).toMatchObject([504, { code: 504, message: 'dispatch timeout' }]);
    expect(lane.answer('r', containers)).toBe('landed');
    const again = await lane.list('r');
    expect([again.status, lane.sent.length]).toEqual([200, 1]);
    expect((await lane.list('r')).status, 'sent anew').toBe(504);
    expect(lane.sent).toHaveLength(2);
  });

  it('keeps the answer of a caller who hung up', async () => {
    await using lane = await setUp();
    const body = JSON.stringify({ host_id: 'h', request_id: 'r', command: { type: 'list_containers' } });
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    const caller = httpRequest({
      socketPath: lane.socketPath,
      method: 'POST',
      path: '/v1/coold/dispatch',
      headers,
    });
    caller.on('error', () => {});
    caller.end(body);
    await vi.waitFor(() => expect(lane.sent).toHaveLength(1));
    caller.destroy();
    await vi.waitFor(() => expect(lane.pending.counts()).toEqual({ waiting: 0, landed: 0, overdue: 1 }));
    expect(lane.answer('r', containers)).toBe('landed');
    expect((await lane.list('r')).status).toBe(200);
    expect(lane.sent).toHaveLength(1);
  });
});

describe('bad input is answered in the envelope', () => {
  const json = { 'content-type': 'application/json' };
  it.each([
    ['JSON that ends too soon', 400, { body: '{"host_id":', headers: json }],
    ['no body', 400, { headers: json }],
    ['an empty body', 400, { body: '', headers: json }],
    ['a key that would poison a prototype', 400, { body: '{"__proto__":{"x":1}}', headers: json }],
    [
      'another content type',
      415,
      { body: 'x=1', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    ],
    ['10 MB', 413, { body: `"${'x'.repeat(10 * 1024 * 1024)}"`, headers: json }],
    ['one byte over the limit', 413, { body: `"${'x'.repeat(1024 * 1024 - 1)}"`, headers: json }],
    ['a request_id that is a path', 400, { body: '{"request_id":"../x"}', headers: json }],
  ])('%s', async (_, status, request) => {
    await using lane = await setUp();
    const answer = await lane.http.request({ method: 'POST', path: '/v1/coold/dispatch', ...request });
    expect(answer.status).toBe(status);
    expect(answer.json()).toMatchObject({
      request_id: '',
      status: 'error',
      code: status,
      message: expect.any(String),
    });
  });

  it('a path that is not there is 404, a method that does not fit 405', async () => {
    await using lane = await setUp();
    expect((await lane.http.request({ path: '/v1/nothing' })).json()).toMatchObject({
      status: 'error',
      code: 404,
    });
    const wrong = await lane.http.request({ path: '/v1/coold/dispatch' });
    expect([wrong.status, wrong.headers['allow']]).toEqual([405, 'POST']);
    expect((await lane.http.request({ method: 'DELETE', path: '/v1/health?x=1' })).status).toBe(405);
  });
});

describe('what is no request of ours is in the envelope too', () => {
  /** Bytes as they are; what comes back until the other side closes. */
  async function raw(socketPath: string, bytes: string): Promise<{ status: number; body: unknown }> {
    const socket = connect(socketPath);
    socket.end(bytes);
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    const [head = '', body = ''] = text.split('\r\n\r\n');
    return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]), body: JSON.parse(body) as unknown };
  }

  it.each([
    ['a path that does not decode', 'GET /%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', 400],
    ['bytes that are no HTTP', 'hello\r\n\r\n', 400],
    ['headers of 64 KB', `GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(65_536)}\r\n\r\n`, 431],
  ])('%s', async (_, bytes, status) => {
    await using lane = await setUp();
    expect(await raw(lane.socketPath, bytes)).toEqual({
      status,
      body: { request_id: '', status: 'error', code: status, message: expect.any(String) },
    });
  });
});

describe('a caller that never takes its reply', () => {
  it('is cut off, and its answer lands', async () => {
    await using lane = await setUp({ stalledReplyMs: 200 });
    const body = JSON.stringify({ host_id: 'h', request_id: 'r', command: { type: 'list_containers' } });
    const socket = connect(lane.socketPath);
    socket.on('error', () => {});
    socket.pause();
    socket.write(
      `POST /v1/coold/dispatch HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await vi.waitFor(() => expect(lane.sent).toHaveLength(1));
    const containers = [{ id: 'x'.repeat(3 * 1024 * 1024) }];
    lane.answer(
      'r',
      create(ResponseSchema, { body: { case: 'listContainers', value: { containers } } }).body,
    );
    await vi.waitFor(
      () => expect(lane.pending.counts()).toEqual({ waiting: 0, landed: 1, overdue: 0 }),
      5000,
    );
    socket.destroy();
  });
});

describe('a lane that stops', () => {
  const parked = (requestId: string) => {
    const body = JSON.stringify({
      host_id: 'h',
      request_id: requestId,
      command: { type: 'list_containers' },
    });
    return `POST /v1/coold/dispatch HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  };

  it('answers what is under way on connections that are kept, and says they end', async () => {
    await using lane = await setUp();
    const socket = connect(lane.socketPath);
    socket.write(parked('r'));
    await vi.waitFor(() => expect(lane.sent).toHaveLength(1));
    const stopped = lane.lane.stop(5000);
    lane.answer('r', containers);
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text.toLowerCase()).toContain('connection: close');
    await stopped;
  });

  it('writes a large answer whole to a caller that reads slowly', async () => {
    await using lane = await setUp();
    const socket = connect(lane.socketPath);
    socket.pause();
    socket.write(parked('r'));
    await vi.waitFor(() => expect(lane.sent).toHaveLength(1));
    const id = 'x'.repeat(3 * 1024 * 1024);
    const large = create(ResponseSchema, {
      body: { case: 'listContainers', value: { containers: [{ id }] } },
    });
    lane.answer('r', large.body);
    const stopped = lane.lane.stop(10_000);
    let size = 0;
    for await (const chunk of socket) size += (chunk as Buffer).length;
    expect(size).toBeGreaterThan(id.length);
    await stopped;
    expect(lane.pending.counts()).toEqual({ waiting: 0, landed: 0, overdue: 0 });
  });

  it('does not wait for connections that never finish their request', async () => {
    await using lane = await setUp();
    const sockets = [
      'GET /v1/hea',
      'POST /v1/coold/dispatch HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{',
    ].map(begin => {
      const socket = connect(lane.socketPath);
      socket.on('error', () => {});
      socket.write(begin);
      return socket;
    });
    await Promise.all(sockets.map(socket => once(socket, 'connect')));
    await lane.lane.stop(200);
    for (const socket of sockets) socket.destroy();
  });
});

describe('the rest of the lane', () => {
  it('says it is healthy', async () => {
    await using lane = await setUp();
    const { status, text } = await lane.http.request({ path: '/v1/health' });
    expect([status, text]).toEqual([200, '{"ok":true}']);
  });

  it('lists the streams', async () => {
    await using lane = await setUp();
    expect((await lane.http.request({ path: '/v1/streams' })).json()).toEqual([
      {
        host_id: 'h',
        capabilities: ['coold'],
        builder_capacity: 0,
        coold_version: '1.2.3',
        schema_max: 2,
        connected_at: '1970-01-01T00:00:00.000Z',
      },
    ]);
  });

  it('serves while a thousand connections are open', async () => {
    await using lane = await setUp();
    const sockets: Socket[] = [];
    try {
      for (let i = 0; i < 1000; i += 1) sockets.push(connect(lane.socketPath));
      await Promise.all(sockets.map(socket => (socket.connecting ? once(socket, 'connect') : undefined)));
      expect((await lane.http.request({ path: '/v1/health' })).status).toBe(200);
      // And each of them is served, not merely let in.
      const answers = sockets.map(socket => once(socket, 'data'));
      for (const socket of sockets) socket.write('GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n');
      for (const [chunk] of await Promise.all(answers)) expect(String(chunk)).toContain('HTTP/1.1 200');
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });
});
