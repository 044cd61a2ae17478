import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startLane } from '../../test/lane.ts';

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
    ['one byte over the limit', 413, { body: `"${'x'.repeat(2 * 1024 * 1024 - 1)}"`, headers: json }],
    [
      'JSON nested deeper than 32',
      400,
      { body: `{"command":${'['.repeat(32)}${']'.repeat(32)}}`, headers: json },
    ],
    ['JSON nested too deep for a stack', 400, { body: '['.repeat(500_000), headers: json }],
    ['bytes that are no UTF-8', 400, { body: Buffer.from('7b22ff227d', 'hex'), headers: json }],
    ['a body that is compressed', 415, { body: '{}', headers: { ...json, 'content-encoding': 'gzip' } }],
    ['NDJSON, which only input is', 415, { body: '{}', headers: { 'content-type': 'application/x-ndjson' } }],
    ['a request_id that is a path', 400, { body: '{"request_id":"../x"}', headers: json }],
  ])('%s', async (_, status, request) => {
    await using lane = await startLane();
    const answer = await lane.http.request({ method: 'POST', path: '/v1/coold/dispatch', ...request });
    expect(answer.status).toBe(status);
    expect(answer.json()).toMatchObject({
      request_id: '',
      status: 'error',
      code: status,
      message: expect.any(String),
    });
  });

  it('4 MiB of rules pass, as on REST, and of other verbs 2 MiB', async () => {
    await using lane = await startLane();
    const dispatch = async (type: string, bytes: number, path = '/v1/coold/dispatch') => {
      const start = `{"host_id":"absent","request_id":"r","command":{"type":"${type}","remove":["`;
      const body = `${start}${'x'.repeat(bytes - start.length - 4)}"]}}`;
      const answer = await lane.http.request({ method: 'POST', path, headers: json, body });
      return [answer.status, (answer.json() as { message: string }).message];
    };
    const [most, usual] = [4 * 1024 * 1024, 2 * 1024 * 1024];
    const tooLarge = (limit: number) => [413, `body: expected at most ${limit} bytes`];
    expect(await dispatch('firewall.bulk', most)).toEqual([404, 'host not connected']);
    expect(await dispatch('firewall.bulk', most + 1)).toEqual(tooLarge(most));
    expect(await dispatch('firewall.allow', usual + 1)).toEqual(tooLarge(usual));
    expect(await dispatch('no.such', usual + 1)).toEqual(tooLarge(usual));
    expect(await dispatch('firewall.bulk', usual + 1, '/v1/coold/stream')).toEqual(tooLarge(usual));
    expect(await dispatch('firewall.bulk', usual + 1, '/v1/build/dispatch')).toEqual(tooLarge(usual));
  });

  it.each([
    ['/v1/coold/dispatch', `{"command":${'['.repeat(32)}${']'.repeat(32)}}`, 'body'],
    ['/v1/coold/stream', `{"command":${'['.repeat(32)}${']'.repeat(32)}}`, 'body'],
    ['/v1/coold/dispatch', '{"command":', 'body'],
    ['/v1/coold/dispatch', '', 'body'],
    ['/v1/coold/stream', '[]', 'body'],
    ['/v1/coold/dispatch', '{"command":{"env":{"__proto__":"x"}}}', 'command.env.__proto__'],
  ])('%s with %s names what offends', async (path, body, field) => {
    await using lane = await startLane();
    const answer = await lane.http.request({ method: 'POST', path, body, headers: json });
    expect(answer.json()).toMatchObject({ code: 400, field, message: expect.stringContaining(`${field}: `) });
  });

  it.each(['application/vnd.api+json', 'application/problem+json; charset=utf-8', 'Application/JSON'])(
    'a body of type %s is JSON',
    async type => {
      await using lane = await startLane();
      const body = JSON.stringify({
        host_id: 'elsewhere',
        request_id: 'r:1',
        command: { type: 'host.info' },
        a: 1,
      });
      const headers = { 'content-type': type };
      const answer = await lane.http.request({ method: 'POST', path: '/v1/coold/dispatch', body, headers });
      expect([answer.status, answer.json()]).toMatchObject([404, { request_id: 'r:1' }]);
    },
  );

  it('a charset in the content type does not change it', async () => {
    await using lane = await startLane();
    const headers = { 'content-type': 'application/json; charset=utf-8' };
    const body = JSON.stringify({ host_id: 'elsewhere', request_id: 'r', command: { type: 'host.info' } });
    expect(
      (await lane.http.request({ method: 'POST', path: '/v1/coold/dispatch', body, headers })).status,
    ).toBe(404);
  });

  it('a name in a path that is too long is judged by its call', async () => {
    await using lane = await startLane();
    const long = 'x'.repeat(5000);
    const answer = await lane.http.request({ path: `/v1/build/result/${long}` });
    expect([answer.status, answer.json()]).toMatchObject([404, { code: 404, reason: 'request_id_unknown' }]);
  });

  it('a path that is not there is 404, a method that does not fit 405', async () => {
    await using lane = await startLane();
    expect((await lane.http.request({ path: '/v1/nothing' })).json()).toMatchObject({
      status: 'error',
      code: 404,
    });
    const wrong = await lane.http.request({ path: '/v1/coold/dispatch' });
    expect([wrong.status, wrong.headers['allow']]).toEqual([405, 'POST']);
    expect((await lane.http.request({ method: 'DELETE', path: '/v1/health?x=1' })).status).toBe(405);
    const query = await lane.http.request({ method: 'QUERY', path: '/v1/health' });
    expect([query.status, query.headers['allow']]).toEqual([405, 'GET']);
    const input = await lane.http.request({ path: '/v1/coold/stream/any/input' });
    expect([input.status, input.headers['allow']]).toEqual([405, 'POST']);
    expect((await lane.http.request({ path: '/v1/coold/stream/a/b/input' })).status).toBe(404);
  });
});

describe('a request to an unknown path is answered with an envelope too', () => {
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
    [
      'a path that does not decode',
      'GET /%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
      400,
      'invalid_request',
    ],
    ['bytes that are no HTTP', 'hello\r\n\r\n', 400, 'invalid_request'],
    [
      'headers of 64 KB',
      `GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(65_536)}\r\n\r\n`,
      431,
      'invalid_request',
    ],
  ])('%s', async (_, bytes, status, reason) => {
    await using lane = await startLane();
    expect(await raw(lane.socketPath, bytes)).toEqual({
      status,
      body: { request_id: '', status: 'error', code: status, reason, message: expect.any(String) },
    });
  });
});
