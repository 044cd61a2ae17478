// Tests our coold against a broker of another implementation.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { startBuildingHost } from '@coold/coold/building-testing';
import { createPairing, layCable, type Program, scratchFolder } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { describe, expect, it } from 'vitest';
import { type PeerBroker, type PeerBrokerOptions, startPeerBroker } from './broker.ts';
import { type Message, strangeField } from './schema.ts';

/** 3 MB as a list of containers; a real Podman would need an hour to create them. */
const names = Array.from({ length: 3000 }, (_, n) => `${n}-`.padEnd(1000, 'x'));

/** A fake Podman that answers only the requests of list_containers. */
async function startList(path: string): Promise<AsyncDisposable> {
  const listed = names.map(name => ({
    Id: 'c1',
    Names: [`/${name}`],
    Image: 'nginx',
    State: 'running',
    NetworkSettings: { Networks: { podman: {} } },
  }));
  const server = createServer((request, response) => {
    const isList = /\/containers\/json/.test(request.url ?? '') && !/libpod/.test(request.url ?? '');
    response.writeHead(isList ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(isList ? listed : { message: 'not here' }));
  });
  await new Promise<void>(resolve => server.listen(path, resolve));
  return {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

async function setUp(options: PeerBrokerOptions = {}) {
  const cleanup = new AsyncDisposableStack();
  const { path: folder } = cleanup.use(await scratchFolder());
  const podmanSocket = join(folder, 'podman.sock');
  cleanup.use(await startList(podmanSocket));
  const broker = cleanup.use(await startPeerBroker(options));
  const cable = cleanup.use(await layCable({ host: '127.0.0.1', port: broker.port }));
  const pairing = await createPairing({ folder, hostId: 'host-1', port: cable.port, podmanSocket });
  const coold = cleanup.use(pairing.startCoold());
  return { folder, broker, cable, coold, [Symbol.asyncDispose]: () => cleanup.disposeAsync() };
}

const streamOf = (broker: PeerBroker, n = 0) =>
  soon(() => broker.streams[n] ?? expect.fail(`no stream ${n}`));
const answerTo = (responses: Message[], requestId: string) =>
  soon(() => responses.find(({ request_id }) => request_id === requestId) ?? expect.fail('no answer'));
const isConnected = (coold: Program) => coold.logged(({ msg }) => msg === 'connected to the broker');

describe('a coold with a broker of another implementation', () => {
  it('says Hello, executes commands and redials after it was replaced', async () => {
    await using t = await setUp();
    const first = await streamOf(t.broker);
    expect(first.authorization).toBe(`Bearer ${await readFile(join(t.folder, 'host-jwt'), 'utf8')}`);
    expect(first.hello).toEqual({
      host_mgmt_ip: '127.0.0.1',
      coold_version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      schema_min: 1,
      schema_max: 2,
      capabilities: ['coold'],
      builder_capacity: 0,
    });
    await isConnected(t.coold);

    first.command('r1', { list_containers: {} });
    const { body, list_containers } = await answerTo(first.responses, 'r1');
    expect(body).toBe('list_containers');
    const { containers } = list_containers as { containers: Message[] };
    expect(containers.map(({ name }) => name)).toEqual(names);
    expect(containers[0]).toMatchObject({ id: 'c1', image: 'nginx', state: 'running', networks: ['podman'] });

    // A command of an unknown kind, and one with a field that schema 1 does not have.
    first.sendRaw(Buffer.concat([strangeField(1, Buffer.from('r2')), strangeField(150, Buffer.from('?'))]));
    expect(await answerTo(first.responses, 'r2')).toMatchObject({ body: 'error', error: { code: 501 } });
    first.sendRaw(
      Buffer.concat([
        ...[strangeField(1, Buffer.from('r3')), strangeField(10, Buffer.alloc(0))],
        strangeField(900, Buffer.from('?')),
      ]),
    );
    expect(await answerTo(first.responses, 'r3')).toMatchObject({ body: 'list_containers' });

    const build = {
      repo_url: 'https://git.example/app.git',
      git_ref: 'main',
      target_image: 'localhost/app:1',
    };
    first.command('b1', { build });
    expect(await answerTo(first.responses, 'b1')).toMatchObject({ body: 'error', error: { code: 501 } });
    first.command('b1', { cancel_build: {} });
    first.command('r4', { list_containers: {} });
    expect(await answerTo(first.responses, 'r4')).toMatchObject({ body: 'list_containers' });

    first.replace();
    const second = await streamOf(t.broker, 1);
    second.command('r5', { list_containers: {} });
    expect(await answerTo(second.responses, 'r5')).toMatchObject({ body: 'list_containers' });
    expect(first.responses.map(({ request_id }) => request_id)).not.toContain('r5');
  });

  it('serves a broker that sends its headers with the first command', async () => {
    await using t = await setUp({ lateHeaders: true });
    const stream = await streamOf(t.broker);
    expect(t.coold.lines.map(({ msg }) => msg)).not.toContain('connected to the broker');
    stream.command('r1', { list_containers: {} });
    expect(await answerTo(stream.responses, 'r1')).toMatchObject({ body: 'list_containers' });
    await isConnected(t.coold);
  });
});

describe('a build requested by a broker of another implementation', () => {
  async function startBuilding() {
    const cleanup = new AsyncDisposableStack();
    const { path: folder } = cleanup.use(await scratchFolder());
    const broker = cleanup.use(await startPeerBroker());
    const tokenPath = join(folder, 'host-jwt');
    await writeFile(tokenPath, 'of.no.consequence', { mode: 0o600 });
    const workFolder = join(folder, 'work');
    await mkdir(workFolder, { mode: 0o700 });
    const host = cleanup.use(await startBuildingHost({ port: broker.port, tokenPath, workFolder }));
    const stream = await streamOf(broker);
    const build = {
      repo_url: 'https://git.example/app.git',
      git_ref: 'main',
      target_image: 'localhost/app:1',
      stack: 'STATIC',
      static_cfg: { output_dir: 'out' },
    };
    stream.command('b1', { build });
    await soon(() => expect(host.systemd.started).toEqual(['b1']));
    return { workFolder, host, stream, [Symbol.asyncDispose]: () => cleanup.disposeAsync() };
  }

  it('has a result', async () => {
    await using t = await startBuilding();
    expect(t.stream.hello).toMatchObject({ capabilities: ['coold', 'builder'], builder_capacity: 2 });
    const request = JSON.parse(await readFile(join(t.workFolder, 'b1', 'request.json'), 'utf8')) as Message;
    expect(request).toMatchObject({
      repo_url: 'https://git.example/app.git',
      git_ref: 'main',
      stack: 'static',
      target_image: 'localhost/app:1',
      static_cfg: { output_dir: 'out' },
    });
    const digest = `sha256:${'d'.repeat(64)}`;
    const ok = { digest, registry_ref: `localhost/app@${digest}`, duration_ms: 1234, stack_used: 'static' };
    await t.host.systemd.end('b1', { name: 'result.json', content: ok });
    expect(await answerTo(t.stream.responses, 'b1')).toEqual({
      request_id: 'b1',
      body: 'build',
      build: { body: 'ok', ok: { ...ok, stack_used: 'STATIC' } },
    });
  });

  it('is cancelled, and a cancel of another build is ignored', async () => {
    await using t = await startBuilding();
    t.stream.command('unknown', { cancel_build: {} });
    t.stream.command('b1', { cancel_build: {} });
    expect(await answerTo(t.stream.responses, 'b1')).toEqual({
      request_id: 'b1',
      body: 'build',
      build: { body: 'err', err: { code: 499, message: 'cancelled', stage: 'cancel' } },
    });
    expect(t.host.systemd.signals).toEqual(['SIGTERM b1']);
    expect(t.stream.responses).toHaveLength(1);
  });
});

// The contract's times are long, so these run concurrently.
describe.concurrent('PINGs', { timeout: 90_000 }, () => {
  it('from another broker are answered', async () => {
    await using t = await setUp({ pingEveryMs: 1000 });
    const stream = await streamOf(t.broker);
    let isOver = false;
    void stream.closed.then(() => {
      isOver = true;
    });
    // A missing answer ends the stream after 10 s.
    await new Promise(resolve => setTimeout(resolve, 13_000));
    expect(isOver).toBe(false);
    stream.command('r1', { list_containers: {} });
    expect(await answerTo(stream.responses, 'r1')).toMatchObject({ body: 'list_containers' });
  });

  it('of coold without an answer end its stream, and coold redials', async () => {
    await using t = await setUp();
    await streamOf(t.broker);
    await isConnected(t.coold);
    t.cable.cut();
    await t.coold.logged(({ msg }) => msg === 'no stream to the broker; dialling again', 60_000);
    t.cable.heal();
    const second = await streamOf(t.broker, 1);
    second.command('r1', { list_containers: {} });
    expect(await answerTo(second.responses, 'r1')).toMatchObject({ body: 'list_containers' });
  });
});
