import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { create } from '@bufbuild/protobuf';
import { ResponseSchema, readVerbs, type Verb } from '@coold/proto';
import { soon } from '@coold/testbed/soon';
import { describe, expect, it } from 'vitest';
import { containers, startLane } from '../../test/lane.ts';

describe('dispatch', () => {
  it('sends the command to the host and its answer back', async () => {
    await using lane = await startLane();
    const reply = lane.list('r-1');
    await soon(() => expect(lane.sent).toHaveLength(1));
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
    await using lane = await startLane();
    const reply = lane.list('r-1');
    await soon(() => expect(lane.sent).toHaveLength(1));
    const error = create(ResponseSchema, {
      body: { case: 'error', value: { code: 404, message: 'no such container', field: 'id' } },
    });
    lane.answer('r-1', error.body);
    const { status, text } = await reply;
    expect([status, JSON.parse(text)]).toEqual([
      200,
      {
        request_id: 'r-1',
        status: 'error',
        code: 404,
        reason: 'not_found',
        message: 'no such container',
        field: 'id',
      },
    ]);
  });

  it('is 500 when the host answers something else, or nothing it knows', async () => {
    await using lane = await startLane();
    const wrong = create(ResponseSchema, { body: { case: 'build', value: {} } }).body;
    for (const [id, body] of [
      ['r-1', wrong],
      ['r-2', { case: undefined }],
    ] as const) {
      const reply = lane.list(id);
      await soon(() => expect(lane.sent.at(-1)?.requestId).toBe(id));
      lane.answer(id, body);
      const { status, text } = await reply;
      expect(status).toBe(500);
      expect(JSON.parse(text)).toMatchObject({ request_id: id, status: 'error', code: 500 });
    }
  });

  it('is 404 for a host that is not connected', async () => {
    await using lane = await startLane();
    const { status, text } = await lane.list('r', { host_id: 'elsewhere' });
    expect([status, JSON.parse(text)]).toEqual([
      404,
      {
        request_id: 'r',
        status: 'error',
        code: 404,
        reason: 'host_not_connected',
        message: 'host not connected',
        host_id: 'elsewhere',
      },
    ]);
  });

  it('is 501 for a verb above the host’s schema, and the host is not sent it', async () => {
    const [[name, verb] = []] = readVerbs();
    const verbs = new Map([[name ?? '', { ...(verb as Verb), schema: 2 }]]);
    await using lane = await startLane({ schemaMax: 1, verbs });
    const { status, text } = await lane.list('r');
    expect(status).toBe(501);
    expect(text).toMatch(/schema 2.*up to 1/);
    expect(lane.sent).toEqual([]);
  });

  it('is 409 while the same id is under way, and free again after its reply', async () => {
    await using lane = await startLane();
    const first = lane.list('r');
    await soon(() => expect(lane.sent).toHaveLength(1));
    expect((await lane.list('r')).status).toBe(409);
    lane.answer('r', containers);
    expect((await first).status).toBe(200);
    const again = lane.list('r');
    await soon(() => expect(lane.sent).toHaveLength(2));
    lane.answer('r', containers);
    expect((await again).status).toBe(200);
  });

  it('is 503 at the cap', async () => {
    await using lane = await startLane({ max: 1 });
    const first = lane.list('r-1');
    await soon(() => expect(lane.sent).toHaveLength(1));
    const { status, text } = await lane.list('r-2');
    expect([status, JSON.parse(text)]).toMatchObject([
      503,
      { message: 'broker at pending-dispatch capacity' },
    ]);
    lane.answer('r-1', containers);
    await first;
  });

  it('is 503 at once when the stream drops', async () => {
    await using lane = await startLane();
    const reply = lane.list('r');
    await soon(() => expect(lane.sent).toHaveLength(1));
    const dropped = performance.now();
    lane.pending.disconnected(lane.host);
    expect((await reply).status).toBe(503);
    expect(performance.now() - dropped, 'not by its timeout').toBeLessThan(4000);
  });

  it('is 503 when the host has left too much unread, and its id stays free', async () => {
    await using lane = await startLane();
    lane.hosts.add({ ...lane.host, send: () => false });
    expect((await lane.list('r')).status).toBe(503);
    expect(lane.pending.counts().waiting).toBe(0);
  });

  it('is 504 after the timeout; a repeated dispatch gets the late answer, once', async () => {
    await using lane = await startLane({ timeoutMs: 100 });
    const { status, text } = await lane.list('r');
    expect([status, JSON.parse(text)]).toMatchObject([504, { code: 504, message: 'dispatch timeout' }]);
    expect(lane.answer('r', containers)).toBe('landed');
    const again = await lane.list('r');
    expect([again.status, lane.sent.length]).toEqual([200, 1]);
    expect((await lane.list('r')).status, 'sent anew').toBe(504);
    expect(lane.sent).toHaveLength(2);
  });

  it('keeps the answer of a caller who hung up', async () => {
    await using lane = await startLane();
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
    await soon(() => expect(lane.sent).toHaveLength(1));
    caller.destroy();
    await soon(() => expect(lane.pending.counts()).toEqual({ waiting: 0, landed: 0, overdue: 1 }));
    expect(lane.answer('r', containers)).toBe('landed');
    expect((await lane.list('r')).status).toBe(200);
    expect(lane.sent).toHaveLength(1);
  });
});

describe('a caller that never takes its reply', () => {
  it('is cut off, and its answer lands', async () => {
    await using lane = await startLane({ stalledReplyMs: 200 });
    const body = JSON.stringify({ host_id: 'h', request_id: 'r', command: { type: 'list_containers' } });
    const socket = connect(lane.socketPath);
    socket.on('error', () => {});
    socket.pause();
    socket.write(
      `POST /v1/coold/dispatch HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await soon(() => expect(lane.sent).toHaveLength(1));
    const containers = [{ id: 'x'.repeat(3 * 1024 * 1024) }];
    lane.answer(
      'r',
      create(ResponseSchema, { body: { case: 'listContainers', value: { containers } } }).body,
    );
    await soon(() => expect(lane.pending.counts()).toEqual({ waiting: 0, landed: 1, overdue: 0 }));
    socket.destroy();
  });
});

describe('the rest of the lane', () => {
  it('says it is healthy', async () => {
    await using lane = await startLane();
    const { status, text } = await lane.http.request({ path: '/v1/health' });
    expect([status, text]).toEqual([200, '{"ok":true}']);
  });

  it('lists the streams', async () => {
    await using lane = await startLane();
    expect((await lane.http.request({ path: '/v1/streams' })).json()).toEqual([
      {
        host_id: 'h',
        capabilities: ['coold'],
        builder_capacity: 0,
        coold_version: '1.2.3',
        schema_max: 2,
        connected_at: '1970-01-01T00:00:00.000Z',
        token_ends_at: null,
        token_key: null,
        builds: { running: 0, queued: 0 },
      },
    ]);
  });

  it('lists the streams of the fleet, which are its own where it is alone', async () => {
    await using lane = await startLane();
    const [own] = (await lane.http.request({ path: '/v1/streams?all=0' })).json() as object[];
    expect((await lane.http.request({ path: '/v1/streams?all=1' })).json()).toEqual({
      hosts: [{ ...own, broker_id: null }],
      brokers: [{ broker_id: null, address: null, state: 'here', hosts: 1, error: null }],
      complete: true,
    });
    for (const wrong of ['', 'yes', '1&all=1']) {
      const answer = await lane.http.request({ path: `/v1/streams?all=${wrong}` });
      expect(answer.json()).toMatchObject({
        status: 'error',
        code: 400,
        reason: 'invalid_request',
        field: 'all',
      });
      expect(answer.status).toBe(400);
    }
  });

  it('serves while a thousand connections are open', async () => {
    await using lane = await startLane();
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
