import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import {
  builtOk,
  createPairing,
  createStubBuilder,
  freePort,
  type Program,
  type StubBuilder,
  scratchFolder,
  unixHttp,
} from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { describe, expect, it } from 'vitest';

const phpClient = fileURLToPath(new URL('clients/dispatch.php', import.meta.url));
const command = {
  type: 'static_build',
  repo_url: 'https://git.example/app.git',
  git_ref: 'main',
  target_image: 'localhost/app:v1',
};
/** Generous, for a machine that is busy; what it waits for is a moment away. */
const digestOf = (requestId: string) => `sha256:${createHash('sha256').update(requestId).digest('hex')}`;

/** Starts a broker process that tests kill, and hosts whose builds end when the test says so. */
async function setUp(env: Record<string, string> = {}) {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await scratchFolder());
  const port = await freePort();
  const pairing = await createPairing({ folder: folder.path, hostId: 'none', port, podmanSocket: '/none' });
  const start = async () => {
    const broker = stack.use(pairing.startBroker({ env }));
    await broker.logged(({ msg }) => msg === 'listening for Laravel');
    return broker;
  };
  let broker: Program = await start();
  const http = stack.use(unixHttp(pairing.socketPath));
  const call = async (method: 'GET' | 'POST' | 'DELETE', path: string, json?: object) => {
    const { status, text } = await http.request({ method, path, json, timeoutMs: 120_000 });
    return { status, body: text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>) };
  };
  return {
    socketPath: pairing.socketPath,
    call,
    dispatch: (requestId: string) =>
      call('POST', '/v1/build/dispatch', { request_id: requestId, command }).then(({ status }) => status),
    result: (requestId: string, timeoutMs = 60_000) =>
      call('GET', `/v1/build/result/${requestId}?timeout_ms=${timeoutMs}`),
    async host(hostId: string, capacity = 2): Promise<StubBuilder> {
      const token = await pairing.mint(hostId, ['coold', 'builder']);
      const host = createStubBuilder({ address: `127.0.0.1:${port}`, token, capacity });
      await host.connect();
      stack.defer(() => host.cut());
      return host;
    },
    broker: () => broker,
    async kill() {
      broker.signal('SIGKILL');
      await broker.exited;
      broker = await start();
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe('a broker that is killed', { timeout: 120_000 }, () => {
  it('knows a hundred builds in flight again once their hosts have reconnected', async () => {
    await using lane = await setUp();
    const hosts = [await lane.host('a', 40), await lane.host('b', 30), await lane.host('c', 30)];
    const ids = Array.from({ length: 100 }, (_, n) => `build-${n}`);
    expect(await Promise.all(ids.map(lane.dispatch))).toEqual(ids.map(() => 202));
    await soon(() => expect(hosts.map(({ builds }) => builds.size)).toEqual([40, 30, 30]));
    const hostOf = (id: string) => hosts.find(({ builds }) => builds.has(id));
    for (const id of ids.slice(0, 30)) hostOf(id)?.finish(id, builtOk(digestOf(id)));

    await lane.kill();
    expect(await lane.result('build-0', 1), 'until its host is back').toMatchObject({ status: 404 });
    for (const id of ids.slice(30, 60)) hostOf(id)?.finish(id, builtOk(digestOf(id)));
    for (const host of hosts) await host.connect();
    expect((await lane.call('POST', '/v1/build/build-99/cancel')).status).toBe(204);
    await soon(() => {
      const last = hostOf('build-99')?.commands.at(-1);
      expect([last?.requestId, last?.command.case]).toEqual(['build-99', 'cancelBuild']);
    });

    const results = Promise.all(ids.map(id => lane.result(id)));
    for (const id of ids.slice(60)) hostOf(id)?.finish(id, builtOk(digestOf(id)));
    for (const [n, { status, body }] of (await results).entries())
      expect([status, body]).toMatchObject([200, { status: 'ok', digest: digestOf(ids[n] ?? '') }]);
    // Each host was also told that its result was read. A caller that died during an answer gets the answer again, also
    // after the next kill.
    await soon(() => expect(hosts.map(({ read }) => read.size)).toEqual([40, 30, 30]));
    await lane.kill();
    for (const host of hosts) await host.connect();
    expect(await lane.result('build-0')).toMatchObject({
      status: 200,
      body: { digest: digestOf('build-0') },
    });
    for (const id of ids) expect(await lane.call('DELETE', `/v1/build/${id}`)).toEqual({ status: 204 });
    await soon(() => expect(hosts.map(({ builds }) => builds.size)).toEqual([0, 0, 0]));
    expect(await lane.result('build-0', 1)).toMatchObject({ status: 404 });
  });

  it('takes the host that got the build last, and ignores a host that only knows its id', async () => {
    await using lane = await setUp({ BROKER_BUILD_HOST_GRACE_SECS: '1' });
    const first = await lane.host('a');
    await lane.dispatch('b');
    await soon(() => expect(first.builds.has('b')).toBe(true));
    first.cut();
    expect((await lane.result('b')).status).toBe(503);
    const second = await lane.host('c');
    const liar = await lane.host('liar');
    expect(
      (await lane.call('POST', '/v1/build/dispatch', { host_id: 'c', request_id: 'b', command })).status,
    ).toBe(202);
    await soon(() => expect(second.builds.has('b')).toBe(true));
    second.cut();
    liar.cut();
    const failure = { code: 500, message: 'builder exited without result file', stage: 'builder' };
    first.finish('b', { case: 'build', value: { body: { case: 'err', value: failure } } });
    liar.finish('b', builtOk(digestOf('forged')));
    second.finish('b', builtOk(digestOf('b')));
    await lane.kill();
    for (const host of [liar, first, second]) await host.connect();
    expect(await lane.result('b')).toMatchObject({
      status: 200,
      body: { status: 'ok', digest: digestOf('b') },
    });
    await soon(() => expect([first.builds.size, second.read.size]).toEqual([0, 1]));
    expect(liar.commands).toEqual([]);
  });
});

describe('a broker', { timeout: 120_000 }, () => {
  it('accepts a build from PHP, which polls until it is done', async () => {
    await using lane = await setUp();
    const host = await lane.host('a');
    const php = async (method: 'GET' | 'POST' | 'DELETE', path: string, json?: object) => {
      const args = [
        phpClient,
        lane.socketPath,
        method,
        path,
        ...(json === undefined ? [] : [JSON.stringify(json)]),
      ];
      const { code, stdout, stderr } = await runChild('php', args, { timeoutMs: 60_000 });
      if (code !== 0) throw new Error(`php failed: ${stderr}`);
      return JSON.parse(stdout) as { status: number; body: unknown };
    };
    expect(await php('POST', '/v1/build/dispatch', { host_id: 'a', request_id: 'b', command })).toEqual({
      status: 202,
      body: { request_id: 'b' },
    });
    const poll = () => php('GET', '/v1/build/result/b?timeout_ms=200');
    expect((await poll()).status).toBe(408);
    host.finish('b', builtOk(digestOf('b'), 5n));
    expect(await poll()).toEqual({
      status: 200,
      body: {
        request_id: 'b',
        status: 'ok',
        digest: digestOf('b'),
        registry_ref: `localhost/app@${digestOf('b')}`,
        duration_ms: 5,
      },
    });
    expect((await poll()).status, 'again, to a worker that died over it').toBe(200);
    expect(await php('DELETE', '/v1/build/b')).toEqual({ status: 204, body: null });
    expect((await poll()).status).toBe(404);
  });

  it('reports that a host stays away, and accepts its late result', async () => {
    await using lane = await setUp({ BROKER_BUILD_HOST_GRACE_SECS: '1' });
    const host = await lane.host('a');
    await lane.dispatch('b');
    await soon(() => expect(host.builds.has('b')).toBe(true));
    const poll = lane.result('b');
    host.cut();
    expect(await poll).toEqual({
      status: 503,
      body: {
        request_id: 'b',
        status: 'error',
        reason: 'build_host_away',
        code: 503,
        message: 'builder host disconnected',
        stage: 'result',
      },
    });
    host.finish('b', builtOk(digestOf('b')));
    await host.connect();
    expect(await lane.result('b')).toMatchObject({ status: 200, body: { digest: digestOf('b') } });
  });

  it('answers waiting polls when it stops, and its successor has the build', async () => {
    await using lane = await setUp();
    const host = await lane.host('a');
    await lane.dispatch('b');
    await soon(() => expect(host.builds.has('b')).toBe(true));
    const poll = lane.result('b');
    // Only a poll that has arrived is waiting. One that is not read yet would get a refused connection.
    expect((await lane.result('b', 1)).status).toBe(408);
    lane.broker().signal('SIGTERM');
    expect(await poll).toMatchObject({ status: 503, body: { message: 'broker is stopping' } });
    expect(await lane.broker().exited).toMatchObject({ code: 0 });
    await lane.kill();
    await host.connect();
    host.finish('b', builtOk(digestOf('b')));
    expect(await lane.result('b')).toMatchObject({ status: 200 });
  });
});
