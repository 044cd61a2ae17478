import { connect } from 'node:net';
import { VerbError } from '@coold/errors';
import { FieldError } from '@coold/proto';
import { soon } from '@coold/testbed/soon';
import { request } from 'undici';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { compileItemVerbs, type Run, serveItems } from '../../test/serve-items.ts';
import type { HttpLimits } from './http-server.ts';

let verbs: Awaited<ReturnType<typeof compileItemVerbs>>;
beforeAll(async () => {
  verbs = await compileItemVerbs();
});
const serve = (run?: Run, limits?: Partial<HttpLimits>) => serveItems(verbs, run, limits);

describe('a verb', () => {
  it('is answered with its status and its JSON', async () => {
    await using api = await serve(request =>
      Promise.resolve({ id: request['id'], size: 5n, items: [{ id: 'a' }] }),
    );
    const { status, json, headers } = await api.ask('POST', '/api/v1/items', { body: { id: 'x' } });
    expect([status, json]).toEqual([201, { id: 'x', size: 5 }]);
    expect(headers['content-type']).toBe('application/json; charset=utf-8');
    expect(await api.ask('GET', '/api/v1/items')).toMatchObject({
      status: 200,
      json: [{ id: 'a', size: 0 }],
    });
    expect(await api.ask('DELETE', '/api/v1/items/x')).toMatchObject({ status: 204, json: '' });
    expect(await api.ask('POST', '/api/v1/items/x/stop')).toMatchObject({ status: 204, json: '' });
  });

  it.each([
    ['a%2Fb', 'a/b'],
    ['a%252Fb', 'a%2Fb'],
    ['registry.example%3A5000%2Fapp%40sha256%3A0', 'registry.example:5000/app@sha256:0'],
    ['%C3%BC', 'ü'],
    ['a+b', 'a+b'],
    ['..%2f..', '../..'],
    ['x;y', 'x;y'],
    ['x'.repeat(10_000), 'x'.repeat(10_000)],
  ])('gets the path’s fields decoded once: %s', async (path, id) => {
    const run = vi.fn<Run>(() => Promise.resolve({}));
    await using api = await serve(run);
    expect((await api.ask('GET', `/api/v1/items/${path}?force=1`)).status).toBe(200);
    expect(run.mock.calls[0]?.[0]).toMatchObject({ id, force: true });
  });

  it('gets its fields from the body on GET and DELETE too', async () => {
    const run = vi.fn<Run>(() => Promise.resolve({}));
    await using api = await serve(run);
    for (const method of ['GET', 'DELETE']) {
      await api.ask(method, '/api/v1/items/x', { body: { timeout: 3 } });
      expect(run.mock.lastCall?.[0]).toMatchObject({ id: 'x', timeout: 3 });
    }
    expect(await api.ask('GET', '/api/v1/items/x?force=1', { body: {} })).toMatchObject({ status: 400 });
  });

  it('has no body where a client only announces JSON', async () => {
    const run = vi.fn<Run>(() => Promise.resolve({}));
    await using api = await serve(run);
    for (const [method, path] of [
      ['GET', '/api/v1/items/x?force=1'],
      ['DELETE', '/api/v1/items/x?force=1'],
      ['POST', '/api/v1/items'],
    ] as const) {
      const headers = { 'content-type': 'application/json; charset=utf-8' };
      expect((await api.ask(method, path, { headers })).status).toBeLessThan(300);
      expect((await api.ask(method, path, { headers, text: '' })).status).toBeLessThan(300);
      expect(run.mock.lastCall?.[0]).toMatchObject({ force: method !== 'POST' });
    }
  });

  it('that fails is its code, reason, message and field', async () => {
    const failures = [
      new VerbError('conflict', 'in use', { field: 'id' }),
      new VerbError('podman_failed', 'podman: no'),
      new FieldError('id', 'is odd'),
    ];
    await using api = await serve(() => Promise.reject(failures.shift() ?? new Error('password=s3cret')));
    const ask = async () => {
      const { status, json } = await api.ask('GET', '/api/v1/items/x');
      return [status, json];
    };
    expect(await ask()).toEqual([409, { error: 'in use', reason: 'conflict', field: 'id' }]);
    expect(await ask()).toEqual([502, { error: 'podman: no', reason: 'podman_failed' }]);
    expect(await ask()).toEqual([400, { error: 'id: is odd', reason: 'invalid_request', field: 'id' }]);
    expect(await ask()).toEqual([500, { error: 'internal error', reason: 'internal_error' }]);
  });

  it('learns that its caller left', async () => {
    const started = Promise.withResolvers<AbortSignal>();
    await using api = await serve((_request, signal) => {
      started.resolve(signal);
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    });
    const leave = new AbortController();
    const asked = request(`http://${api.address}/api/v1/items`, {
      headers: { authorization: 'Bearer token' },
      signal: leave.signal,
    });
    const signal = await started.promise;
    leave.abort();
    await expect(asked).rejects.toThrow();
    await soon(() => expect(signal.aborted).toBe(true));
    await soon(() => expect(api.calls).toMatchObject([{ verb: 'items.list', status: 499 }]));
  });

  it('is not delayed by a caller whose body or whose reading never ends', async () => {
    const run = vi.fn<Run>(() => Promise.resolve({ id: 'x'.repeat(64 * 1024 * 1024) }));
    await using api = await serve(run, { headersTimeoutMs: 300, requestTimeoutMs: 300 });
    const socket = connect(Number(api.address.split(':')[1]), '127.0.0.1');
    const head = 'Host: x\r\nAuthorization: Bearer token\r\n';
    socket.write(
      `POST /api/v1/items HTTP/1.1\r\n${head}Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{`,
    );
    await soon(() => expect(api.calls).toMatchObject([{ verb: 'items.create', status: 499 }]));
    expect(run).not.toHaveBeenCalled();

    const deaf = connect(Number(api.address.split(':')[1]), '127.0.0.1');
    deaf.pause();
    deaf.write(`GET /api/v1/items/x HTTP/1.1\r\n${head}\r\n`);
    await soon(() => expect(api.calls[1]).toMatchObject({ verb: 'items.get', status: 499 }));
    socket.destroy();
    deaf.destroy();
  });

  it('is recorded with request id, verb, status and duration, and nothing of what was said', async () => {
    await using api = await serve(() => Promise.reject(new VerbError('not_found', 'no such item')));
    const headers = { 'x-request-id': 'deploy-7' };
    const answer = await api.ask('POST', '/api/v1/items', { headers, body: { env: { A: 's3cret' } } });
    expect(answer.headers['x-request-id']).toBe('deploy-7');
    await api.ask('POST', '/api/v1/items', { headers: { 'x-request-id': 'not an id' }, text: '{' });
    await soon(() => expect(api.calls).toHaveLength(2));
    const call = { verb: 'items.create', transport: 'rest', durationMs: expect.any(Number) };
    expect(api.calls).toEqual([
      { ...call, requestId: 'deploy-7', status: 404 },
      { ...call, requestId: expect.stringMatching(/^[0-9a-f-]{36}$/), status: 400 },
    ]);
  });
});

it('the log has nothing of bodies, queries, variables and tokens, whatever becomes of the request', async () => {
  const secret = 's3cret-7f3a';
  const fates = [undefined, new VerbError('conflict', 'in use'), new Error('a fault')];
  await using api = await serve(() => {
    const fate = fates.shift();
    return fate === undefined ? Promise.resolve({}) : Promise.reject(fate);
  });
  const body = { id: 'x', env: { PASSWORD: secret } };
  for (const status of [201, 409, 500])
    expect((await api.ask('POST', '/api/v1/items', { body })).status).toBe(status);
  const wrong = [
    api.ask('POST', '/api/v1/items', { text: `{"env":{"A":"${secret}"` }),
    api.ask('POST', '/api/v1/items', { body: { ...body, [secret]: 1 } }),
    api.ask('POST', '/api/v1/items', { text: secret, headers: { 'content-type': 'text/plain' } }),
    api.ask('GET', `/api/v1/items?secret=${secret}`),
    api.ask('GET', `/${secret}`),
    api.ask('GET', '/api/v1/items', { headers: { authorization: `Bearer ${secret}` } }),
    api.ask('GET', '/api/v1/items', { headers: { 'x-request-id': `${secret}/` } }),
  ];
  const statuses = (await Promise.all(wrong)).map(({ status }) => status);
  expect(statuses).toEqual([400, 400, 415, 400, 404, 401, 200]);
  await soon(() => expect(api.calls).toHaveLength(8));
  expect(api.logged.length).toBeGreaterThan(8);
  expect(JSON.stringify(api.logged)).not.toContain(secret);
});

it('serves metrics and the OpenAPI document', async () => {
  await using api = await serve();
  const { json, headers } = await api.ask('GET', '/metrics');
  expect(headers['content-type']).toMatch(/^text\/plain/);
  expect(json).toMatch(/^coold_build_info\{version="1\.2\.3",node="v\d+.*"\} 1$/m);
  expect(json).toContain('process_resident_memory_bytes');
  expect(await api.ask('GET', '/openapi.json')).toMatchObject({ status: 200, json: { openapi: '3.1.0' } });
});
