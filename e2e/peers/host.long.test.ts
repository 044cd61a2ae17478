// Tests our broker with hosts of another implementation, and Laravel's requests for them.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createPairing, freePort, type LogLine, layCable, scratchFolder, unixHttp } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { beforeAll, describe, expect, it } from 'vitest';
import { connectPeerHost, type PeerHost } from './host.ts';
import { type Message, strangeField } from './schema.ts';
import { signToken } from './token.ts';

type Body = Record<string, unknown>;

/** How long a program may take to start on a busy machine, in ms. */
const startMs = 60_000;

/** Starts one broker for all tests; each test has its own hosts and request ids. */
async function startBroker() {
  const cleanup = new AsyncDisposableStack();
  const { path: folder } = cleanup.use(await scratchFolder());
  const port = await freePort();
  const pairing = await createPairing({ folder, hostId: 'unused', port, podmanSocket: '/none' });
  const key = await readFile(join(folder, 'jwt.key'), 'utf8');
  const broker = cleanup.use(pairing.startBroker());
  await broker.logged(({ msg }) => msg === 'listening for Laravel', startMs);
  const http = cleanup.use(unixHttp(pairing.socketPath));
  const call = async (method: 'GET' | 'POST', path: string, json?: object) => {
    const { status, text } = await http.request({ method, path, json, timeoutMs: 60_000 });
    return { status, body: text === '' ? undefined : (JSON.parse(text) as Body) };
  };
  return {
    broker,
    call,
    port,
    dispatch: (hostId: string, requestId: string, type = 'list_containers') =>
      call('POST', '/v1/coold/dispatch', { host_id: hostId, request_id: requestId, command: { type } }),
    build: (hostId: string, requestId: string) =>
      call('POST', '/v1/build/dispatch', {
        host_id: hostId,
        request_id: requestId,
        command: {
          type: 'static_build',
          repo_url: 'https://git.example/app.git',
          git_ref: 'main',
          target_image: 'localhost/app:1',
          output_dir: 'out',
        },
      }),
    async host(
      hostId: string,
      options: { hello?: Message; caps?: string[]; pingEveryMs?: number; address?: string } = {},
    ) {
      const { caps, address = `127.0.0.1:${port}`, ...others } = options;
      const host = connectPeerHost({ address, token: signToken(key, hostId, caps), ...others });
      cleanup.defer(() => host.cut());
      await host.accepted;
      return host;
    },
    listed: async (hostId: string) => {
      const { body } = await call('GET', '/v1/streams');
      return Array.isArray(body) ? body.filter(({ host_id }) => host_id === hostId) : expect.fail('no list');
    },
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  };
}

let t: Awaited<ReturnType<typeof startBroker>>;
beforeAll(async () => {
  t = await startBroker();
  return () => t[Symbol.asyncDispose]();
}, 2 * startMs);

const commandOf = (host: PeerHost, requestId: string) =>
  soon(() => host.commands.find(({ request_id }) => request_id === requestId) ?? expect.fail('no command'));
const listOf = (...names: string[]) => ({
  list_containers: {
    containers: names.map(name => ({
      id: 'c1',
      name,
      image: 'nginx',
      state: 'running',
      networks: ['podman'],
    })),
  },
});
const namesIn = ({ body }: { body: Body | undefined }) => {
  const data = body?.['data'];
  return Array.isArray(data) ? data.map(({ name }: { name: unknown }) => name) : expect.fail('no list');
};

describe('a host of another implementation', () => {
  it('is accepted after its Hello, and listed', async () => {
    await t.host('h1');
    expect(await t.listed('h1')).toMatchObject([
      {
        host_id: 'h1',
        coold_version: '0.0.1-peer',
        schema_max: 1,
        capabilities: ['coold'],
        builder_capacity: 0,
      },
    ]);
  });

  it('answers a dispatch, and refuses one', async () => {
    const host = await t.host('h2');
    const asked = t.dispatch('h2', 'h2-r1');
    expect(await commandOf(host, 'h2-r1')).toEqual({
      request_id: 'h2-r1',
      command: 'list_containers',
      list_containers: {},
    });
    host.respond('h2-r1', listOf('web'));
    expect(await asked).toEqual({
      status: 200,
      body: {
        request_id: 'h2-r1',
        status: 'ok',
        data: [{ id: 'c1', name: 'web', image: 'nginx', state: 'running', networks: ['podman'] }],
      },
    });
    const refused = t.dispatch('h2', 'h2-r2');
    await commandOf(host, 'h2-r2');
    host.respond('h2-r2', { error: { code: 418, message: 'no' } });
    expect(await refused).toMatchObject({ status: 200, body: { status: 'error', code: 418, message: 'no' } });
  });

  it('is never sent a command of schema 2', async () => {
    const host = await t.host('h3');
    const { status, body } = await t.dispatch('h3', 'h3-r1', 'host.info');
    expect(status).toBe(501);
    expect(String(body?.['message'])).toMatch(/schema 2.*up to 1/);
    expect(host.commands).toEqual([]);
  });

  it('sends an answer of 3 MB', async () => {
    const host = await t.host('h4');
    const names = Array.from({ length: 3000 }, (_, n) => `${n}-`.padEnd(1000, 'x'));
    const asked = t.dispatch('h4', 'large');
    await commandOf(host, 'large');
    host.respond('large', listOf(...names));
    expect(namesIn(await asked)).toEqual(names);
  });
});

describe('a stream of another host implementation', () => {
  it('is replaced by its second one, and its end leaves the second open', async () => {
    const first = await t.host('h5');
    const lost = t.dispatch('h5', 'on-the-first');
    await commandOf(first, 'on-the-first');
    const second = await t.host('h5');
    expect((await lost).status).toBe(503);
    expect((await first.ended).code).toBe(10); // ABORTED
    const asked = t.dispatch('h5', 'h5-r1');
    await commandOf(second, 'h5-r1');
    second.respond('h5-r1', listOf('web'));
    expect(namesIn(await asked)).toEqual(['web']);
    expect(first.commands.map(({ request_id }) => request_id)).toEqual(['on-the-first']);
  });

  it('closes its stream in order, and the host is gone', async () => {
    const host = await t.host('h6');
    host.finish();
    expect((await host.ended).code).toBe(0);
    expect((await t.dispatch('h6', 'h6-r1')).status).toBe(404);
  });

  it('is refused for a capability that its token does not grant', async () => {
    await expect(t.host('h7', { hello: { capabilities: ['coold', 'builder'] } })).rejects.toThrow('builder');
  });
});

describe('an answer of another host implementation', () => {
  it(`to another host's command is ignored`, async () => {
    const [host, foreign] = [await t.host('h11'), await t.host('h11-foreign')];
    const asked = t.dispatch('h11', 'h11-r1');
    await commandOf(host, 'h11-r1');
    foreign.respond('h11-r1', listOf('not-mine'));
    foreign.respond('never-asked', listOf('not-mine'));
    await t.broker.logged(line => line['receipt'] === 'of another host');
    host.respond('h11-r1', listOf('mine'));
    expect(namesIn(await asked)).toEqual(['mine']);
    expect(await t.listed('h11-foreign')).toHaveLength(1);
  });

  it('of an unknown kind does not end its stream', async () => {
    const host = await t.host('h12');
    const asked = t.dispatch('h12', 'h12-r1');
    await commandOf(host, 'h12-r1');
    host.sendRaw(strangeField(150, Buffer.from('a payload of another kind')));
    await t.broker.logged(({ msg }) => msg === 'ignoring a payload of an unknown kind');
    host.respond('h12-r1', listOf('web'));
    expect(namesIn(await asked)).toEqual(['web']);
    // The answer belongs to this command but has a body of another kind: its caller need not wait any longer.
    const answeredStrangely = t.dispatch('h12', 'h12-r2');
    await commandOf(host, 'h12-r2');
    const response = [strangeField(1, Buffer.from('h12-r2')), strangeField(90, Buffer.from('a body'))];
    host.sendRaw(strangeField(2, Buffer.concat(response)));
    expect(await answeredStrangely).toMatchObject({ status: 500, body: { status: 'error', code: 500 } });
    // Newer upstream programs have a body of a broker's own in this field number: both the caller and the log name it.
    expect(await answeredStrangely).toMatchObject({
      body: { message: expect.stringContaining('(flux)') as string },
    });
    await t.broker.logged(({ msg }) => String(msg).includes('another dialect of this protocol (flux)'));
    expect(await t.listed('h12')).toHaveLength(1);
  });
});

describe('a build on a host of another implementation', () => {
  const builder = {
    caps: ['coold', 'builder'],
    hello: { capabilities: ['coold', 'builder'], builder_capacity: 2 },
  };

  it('is sent to it and ends with its result', async () => {
    const host = await t.host('h13', builder);
    expect((await t.build('h13', 'h13-b1')).status).toBe(202);
    expect(await commandOf(host, 'h13-b1')).toEqual({
      request_id: 'h13-b1',
      command: 'build',
      build: {
        repo_url: 'https://git.example/app.git',
        git_ref: 'main',
        target_image: 'localhost/app:1',
        stack: 'STATIC',
        cache_key: '',
        static_cfg: { output_dir: 'out', base_image: '' },
      },
    });
    const digest = `sha256:${'d'.repeat(64)}`;
    const ok = { digest, registry_ref: `localhost/app@${digest}`, duration_ms: 1234, stack_used: 'STATIC' };
    host.respond('h13-b1', { build: { ok } });
    expect(await t.call('GET', '/v1/build/result/h13-b1')).toMatchObject({
      status: 200,
      body: { request_id: 'h13-b1', status: 'ok', digest, registry_ref: ok.registry_ref, duration_ms: 1234 },
    });
    expect(host.commands, 'no acknowledgement, which is schema 2').toHaveLength(1);
  });

  it('fails with its error', async () => {
    const host = await t.host('h14', builder);
    await t.build('h14', 'h14-b1');
    await commandOf(host, 'h14-b1');
    host.respond('h14-b1', { build: { err: { code: 422, message: 'no index.html', stage: 'build' } } });
    expect((await t.call('GET', '/v1/build/result/h14-b1')).body).toMatchObject({
      status: 'error',
      code: 422,
      message: 'no index.html',
      stage: 'build',
    });
  });

  it('is cancelled', async () => {
    const host = await t.host('h15', builder);
    await t.build('h15', 'h15-b1');
    await commandOf(host, 'h15-b1');
    expect((await t.call('POST', '/v1/build/h15-b1/cancel')).status).toBe(204);
    await soon(() => expect(host.commands.map(({ command }) => command)).toEqual(['build', 'cancel_build']));
    expect(host.commands[1]).toEqual({ request_id: 'h15-b1', command: 'cancel_build', cancel_build: {} });
    host.respond('h15-b1', { build: { err: { code: 499, message: 'cancelled', stage: 'cancel' } } });
    expect((await t.call('GET', '/v1/build/result/h15-b1')).body).toMatchObject({
      status: 'error',
      code: 499,
      stage: 'cancel',
    });
    expect((await t.call('POST', '/v1/build/h15-b1/cancel')).status).toBe(404);
  });
});

// The contract's times are long, so these run concurrently.
describe.concurrent('with a host of another implementation', { timeout: 60_000 }, () => {
  it(`a stream survives silence and the host's PINGs`, async () => {
    const host = await t.host('h8', { pingEveryMs: 1000 });
    let isOver = false;
    void host.ended.then(() => {
      isOver = true;
    });
    // Five PINGs at the rate that the contract allows.
    await new Promise(resolve => setTimeout(resolve, 5500));
    expect(isOver).toBe(false);
    const asked = t.dispatch('h8', 'h8-r1');
    await commandOf(host, 'h8-r1');
    host.respond('h8-r1', listOf());
    expect((await asked).status).toBe(200);
  });

  it(`a stream is closed when the broker's PINGs get no answer`, async () => {
    await using cable = await layCable({ host: '127.0.0.1', port: t.port });
    await t.host('h9', { address: `127.0.0.1:${cable.port}` });
    cable.cut();
    const lost = ({ msg, host_id }: LogLine) => msg === 'host disconnected' && host_id === 'h9';
    await t.broker.logged(lost, 45_000);
    expect((await t.dispatch('h9', 'h9-r1')).status).toBe(404);
  });
  it('a late answer is returned to the repeated dispatch', async () => {
    const host = await t.host('h10');
    expect((await t.dispatch('h10', 'late')).status).toBe(504);
    host.respond('late', listOf('web'));
    await t.broker.logged(({ msg }) => String(msg).startsWith('answer came after its caller had left'));
    expect(namesIn(await t.dispatch('h10', 'late'))).toEqual(['web']);
    expect(host.commands).toHaveLength(1);
  });
});
