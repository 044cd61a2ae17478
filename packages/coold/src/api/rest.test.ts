import { create, type DescMessage, type Message } from '@bufbuild/protobuf';
import { FieldError, readVerbs } from '@coold/proto';
import { compileProto } from '@coold/proto/buf';
import { createLogger, type Logger, logFilter } from '@coold/runtime';
import { type Dispatcher, request } from 'undici';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { type Call, recordCalls } from './calls.ts';
import type { Handler } from './handler.ts';
import { createHttpServer } from './http-server.ts';
import { createMetrics } from './metrics.ts';
import { openApiDocument } from './openapi.ts';
import { createRest } from './rest.ts';
import { restRoutes } from './rest-route.ts';
import { joinSurface } from './surface.ts';
import { VerbError } from './verb-error.ts';

const off: Logger = createLogger('coold', logFilter.parse('off') ?? expect.fail(), false);
const option = (name: string, method: string, path: string, status: number, rest = '') =>
  `[(coolify.agent.v1.verb) = { name: "${name}" ${rest} http: { method: "${method}" path: "${path}" status: ${status} } }]`;

let messages: { commands: DescMessage; answers: DescMessage };
beforeAll(async () => {
  const registry = await compileProto({
    'test.proto': `
      syntax = "proto3";
      package test;
      import "coolify/agent/v1/verb.proto";
      message ItemReq { string id = 1; bool force = 2; uint32 timeout = 3; map<string, string> env = 4; }
      message Item { string id = 1; uint64 size = 2; }
      message Items { repeated Item items = 1; }
      message Nothing {}
      message Commands { oneof command {
        ItemReq create_item = 10 ${option('items.create', 'POST', '/api/v1/items', 201)};
        ItemReq list_items = 11 ${option('items.list', 'GET', '/api/v1/items', 200, 'body: "items"')};
        ItemReq get_item = 12 ${option('items.get', 'GET', '/api/v1/items/{id}', 200)};
        ItemReq delete_item = 13 ${option('items.delete', 'DELETE', '/api/v1/items/{id}', 204)};
        ItemReq stop_item = 14 ${option('items.stop', 'POST', '/api/v1/items/{id}/stop', 204)};
        ItemReq hidden = 15 [(coolify.agent.v1.verb) = { name: "items.hidden" }];
      } }
      message Answers { oneof body {
        Item create_item = 10; Items list_items = 11; Item get_item = 12; Nothing delete_item = 13;
        Nothing stop_item = 14; Nothing hidden = 15;
      } }`,
  });
  const message = (name: string) => registry.getMessage(name) ?? expect.fail();
  messages = { commands: message('test.Commands'), answers: message('test.Answers') };
});

type Run = (request: Record<string, unknown>, signal: AbortSignal) => Promise<Record<string, unknown>>;

/** The verbs above on a port of this machine, all answered by one function. */
async function serve(run: Run = () => Promise.resolve({})) {
  const verbs = readVerbs(messages.commands, messages.answers);
  const handlers = [...verbs.values()].map(({ name, request, response }): [string, Handler] => [
    name,
    {
      request,
      response,
      run: async (message: Message, signal) =>
        create(response, await run(message as unknown as Record<string, unknown>, signal)),
    },
  ]);
  const routes = restRoutes(joinSurface(verbs, Object.fromEntries(handlers)));
  const calls: Call[] = [];
  const logged: unknown[] = [];
  const line = (...parts: unknown[]) => void logged.push(parts);
  const log = { ...off, trace: line, debug: line, info: line, warn: line, error: line };
  const metrics = createMetrics('1.2.3');
  const recordCall = recordCalls(log, metrics);
  const handle = await createRest({
    routes,
    mayCall: header => header === 'Bearer token',
    metrics,
    document: openApiDocument(routes, '1.2.3'),
    record(call) {
      calls.push(call);
      recordCall(call);
    },
    log,
  });
  const server = createHttpServer({ handle, tls: undefined, log });
  const address = await server.listen({ host: '127.0.0.1', port: 0 });
  return {
    address,
    calls,
    logged,
    async ask(
      method: string,
      path: string,
      options: { body?: unknown; headers?: object; text?: string } = {},
    ) {
      const { body, headers, text } = options;
      const answer = await request(`http://${address}${path}`, {
        method: method as Dispatcher.HttpMethod,
        headers: {
          authorization: 'Bearer token',
          ...(body === undefined && text === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: text ?? (body === undefined ? null : JSON.stringify(body)),
      });
      const raw = await answer.body.text();
      const json: unknown = raw.startsWith('{') || raw.startsWith('[') ? JSON.parse(raw) : raw;
      return { status: answer.statusCode, headers: answer.headers, json };
    },
    [Symbol.asyncDispose]: () => server.close(0),
  };
}

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

  it('that fails is its code, message and field', async () => {
    const failures = [
      new VerbError(409, 'in use', { field: 'id' }),
      new VerbError(502, 'podman: no'),
      new FieldError('id', 'is odd'),
      new VerbError(7, 'no status of HTTP'),
    ];
    await using api = await serve(() => Promise.reject(failures.shift() ?? new Error('password=s3cret')));
    const ask = async () => {
      const { status, json } = await api.ask('GET', '/api/v1/items/x');
      return [status, json];
    };
    expect(await ask()).toEqual([409, { error: 'in use', field: 'id' }]);
    expect(await ask()).toEqual([502, { error: 'podman: no' }]);
    expect(await ask()).toEqual([400, { error: 'id: is odd', field: 'id' }]);
    expect(await ask()).toEqual([500, { error: 'no status of HTTP' }]);
    expect(await ask()).toEqual([500, { error: 'internal error' }]);
  });

  it('is told when its caller left', async () => {
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
    await vi.waitFor(() => expect(signal.aborted).toBe(true));
    await vi.waitFor(() => expect(api.calls).toMatchObject([{ verb: 'items.list', status: 499 }]));
  });

  it('is recorded with request id, verb, status and duration, and nothing of what was said', async () => {
    await using api = await serve(() => Promise.reject(new VerbError(404, 'no such item')));
    const headers = { 'x-request-id': 'deploy-7' };
    const answer = await api.ask('POST', '/api/v1/items', { headers, body: { env: { A: 's3cret' } } });
    expect(answer.headers['x-request-id']).toBe('deploy-7');
    await api.ask('POST', '/api/v1/items', { headers: { 'x-request-id': 'not an id' }, text: '{' });
    await vi.waitFor(() => expect(api.calls).toHaveLength(2));
    const call = { verb: 'items.create', transport: 'rest', durationMs: expect.any(Number) };
    expect(api.calls).toEqual([
      { ...call, requestId: 'deploy-7', status: 404 },
      { ...call, requestId: expect.stringMatching(/^[0-9a-f-]{36}$/), status: 400 },
    ]);
  });
});

it('the log has nothing of bodies, queries, variables and tokens, whatever becomes of the request', async () => {
  const secret = 's3cret-7f3a';
  const fates = [undefined, new VerbError(409, 'in use'), new Error('a fault')];
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
  await vi.waitFor(() => expect(api.calls).toHaveLength(8));
  expect(api.logged.length).toBeGreaterThan(8);
  expect(JSON.stringify(api.logged)).not.toContain(secret);
});

describe('bad input', () => {
  it.each([
    ['[]', 'body'],
    ['"text"', 'body'],
    ['null', 'body'],
    ['{', 'body'],
    ['{"other":1}', 'other'],
    ['{"timeout":-1}', 'timeout'],
    ['{"timeout":1e12}', 'timeout'],
    ['{"__proto__":{"force":true}}', '__proto__'],
    ['{"env":{"__proto__":"x"}}', 'env.__proto__'],
    [`{"env":${'['.repeat(32)}${']'.repeat(32)}}`, 'body'],
    ['{"id":"\xff"}', undefined],
  ])('is 400 and names the field: %s', async (text, field) => {
    const run = vi.fn<Run>(() => Promise.resolve({}));
    await using api = await serve(run);
    const answer = await api.ask('POST', '/api/v1/items', { text });
    if (field === undefined) return expect(answer.status).toBe(201);
    expect(answer).toMatchObject({ status: 400, json: { error: expect.stringMatching(/./), field } });
    expect(run).not.toHaveBeenCalled();
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', 'nonsense', ''])(
    'of type %j is 415',
    async type => {
      await using api = await serve();
      const answer = await api.ask('POST', '/api/v1/items', {
        text: '{}',
        headers: { 'content-type': type },
      });
      expect(answer).toMatchObject({
        status: 415,
        json: { error: 'content-type: expected application/json' },
      });
    },
  );

  it('that is compressed is 415', async () => {
    await using api = await serve();
    const headers = { 'content-encoding': 'gzip' };
    expect(await api.ask('POST', '/api/v1/items', { text: '{}', headers })).toMatchObject({ status: 415 });
  });

  it('over 1 MiB is 413', async () => {
    await using api = await serve();
    const body = (bytes: number) => ({ text: `{"id":"${'x'.repeat(bytes - 9)}"}` });
    expect((await api.ask('POST', '/api/v1/items', body(1024 * 1024))).status).toBe(201);
    expect(await api.ask('POST', '/api/v1/items', body(1024 * 1024 + 1))).toMatchObject({
      status: 413,
      json: { error: 'body: expected at most 1048576 bytes' },
    });
  });

  it.each([
    '/',
    '/api',
    '/api/v1/items/',
    '/api/v1/items/x/',
    '/api/v1/items/x/start',
    '/api/v1//items',
    '/API/v1/items',
    '/v4.0.0/libpod/containers/json',
    '/api/v1/items/../../../v1.41/info',
    '/api/v1/hidden',
    '/healthz/',
  ])('on a path that no verb has is 404: %s', async path => {
    await using api = await serve();
    const { status, json } = await api.ask('GET', path);
    // An empty field is still a field, so that the complaint names it.
    expect([path, status]).toEqual([path, path === '/api/v1/items/' ? 400 : 404]);
    if (status === 404) expect(json).toEqual({ error: 'no such path' });
  });

  it.each(['/api/v1/items/%', '/api/v1/items/%zz', '/api/v1/items/%ff', '/%c0%ae'])(
    'in the path’s encoding is 400: %s',
    async path => {
      await using api = await serve();
      expect(await api.ask('GET', path)).toMatchObject({
        status: 400,
        json: { error: 'path: is not percent-encoded UTF-8' },
      });
    },
  );

  it.each([
    ['PUT', '/api/v1/items', 'GET, POST'],
    ['PATCH', '/api/v1/items/x', 'DELETE, GET'],
    ['POST', '/api/v1/items/x', 'DELETE, GET'],
    ['GET', '/api/v1/items/x/stop', 'POST'],
    ['HEAD', '/api/v1/items', 'GET, POST'],
    ['OPTIONS', '/api/v1/items', 'GET, POST'],
    ['TRACE', '/api/v1/items', 'GET, POST'],
    ['PROPFIND', '/api/v1/items', 'GET, POST'],
    ['POST', '/healthz', 'GET'],
    ['DELETE', '/metrics', 'GET'],
  ])('of a method that does not fit is 405 and says which do: %s %s', async (method, path, allow) => {
    await using api = await serve();
    const { status, headers } = await api.ask(method, path);
    expect([status, headers['allow']]).toEqual([405, allow]);
  });
});

describe('the token', () => {
  const strangers = [{}, { authorization: 'Bearer other' }, { authorization: 'Basic token' }];

  it('is asked for on every path and method but /healthz, with no hint what is wrong', async () => {
    const run = vi.fn<Run>(() => Promise.resolve({}));
    await using api = await serve(run);
    const paths = [
      '/',
      '/api/v1/items',
      '/api/v1/items/%zz',
      '/metrics',
      '/openapi.json',
      '/healthz/x',
      '//healthz',
    ];
    for (const headers of strangers)
      for (const path of paths)
        for (const method of ['GET', 'POST', 'PUT', 'OPTIONS'] as const) {
          const answer = await request(`http://${api.address}${path}`, { method, headers });
          expect([path, answer.statusCode, await answer.body.json()]).toEqual([
            path,
            401,
            { error: 'unauthorized' },
          ]);
          expect(answer.headers['www-authenticate']).toBe('Bearer');
        }
    expect(run).not.toHaveBeenCalled();
    expect(await api.ask('GET', '/healthz?x', { headers: { authorization: '' } })).toMatchObject({
      status: 200,
      json: { ok: true },
    });
  });
});

it('serves metrics and the OpenAPI document', async () => {
  await using api = await serve();
  const { json, headers } = await api.ask('GET', '/metrics');
  expect(headers['content-type']).toMatch(/^text\/plain/);
  expect(json).toMatch(/^coold_build_info\{version="1\.2\.3",node="v\d+.*"\} 1$/m);
  expect(json).toContain('process_resident_memory_bytes');
  expect(await api.ask('GET', '/openapi.json')).toMatchObject({ status: 200, json: { openapi: '3.1.0' } });
});
