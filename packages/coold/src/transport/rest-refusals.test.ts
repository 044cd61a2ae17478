import { Readable } from 'node:stream';
import fc from 'fast-check';
import { request } from 'undici';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { compileItemVerbs, type Run, serveItems } from '../../test/serve-items.ts';

let verbs: Awaited<ReturnType<typeof compileItemVerbs>>;
beforeAll(async () => {
  verbs = await compileItemVerbs();
});
const serve = (run?: Run) => serveItems(verbs, run);

describe('bad input', () => {
  it.each([
    ['[1]', 'body'],
    ['[]', undefined],
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

  it('over 2 MiB is 413', async () => {
    await using api = await serve();
    const body = (bytes: number) => ({ text: `{"id":"${'x'.repeat(bytes - 9)}"}` });
    expect((await api.ask('POST', '/api/v1/items', body(2 * 1024 * 1024))).status).toBe(201);
    expect(await api.ask('POST', '/api/v1/items', body(2 * 1024 * 1024 + 1))).toMatchObject({
      status: 413,
      json: { error: 'body: expected at most 2097152 bytes' },
    });
    // And where nobody says beforehand how long it is.
    const chunked = await request(`http://${api.address}/api/v1/items`, {
      method: 'POST',
      headers: { authorization: 'Bearer token', 'content-type': 'application/json' },
      body: Readable.from(Array.from({ length: 33 }, () => ' '.repeat(64 * 1024))),
    });
    expect(chunked.statusCode).toBe(413);
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
    if (status === 404) expect(json).toEqual({ error: 'no such path', reason: 'no_such_path' });
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
    ['QUERY', '/api/v1/items', 'GET, POST'],
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
            { error: 'unauthorized', reason: 'unauthorized' },
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

it('whatever is asked, the answer is one of ours', async () => {
  await using api = await serve();
  const piece = fc.constantFrom(
    '/',
    'api',
    'v1',
    'items',
    '%2f',
    '%',
    '..',
    '?',
    '&',
    '=',
    'force',
    '1',
    'x',
    ';',
    ':id',
    '*',
  );
  const asked = fc.record({
    method: fc.constantFrom('GET', 'POST', 'DELETE', 'PUT'),
    path: fc.array(piece, { maxLength: 12 }).map(pieces => `/api/v1/items${pieces.join('')}`),
    text: fc.option(fc.oneof(fc.json(), fc.string()), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(asked, async ({ method, path, text }) => {
      const { status, json } = await api.ask(method, path, text === undefined ? {} : { text });
      expect([200, 201, 204, 400, 404, 405]).toContain(status);
      if (status >= 400) expect(json).toMatchObject({ error: expect.stringMatching(/./) });
    }),
  );
});
