// Streamed commands as Laravel calls them: a real broker process, PHP, and a stub host that can flood, fall silent and
// die at a given frame, as no real host can.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import {
  connectStubHost,
  createPairing,
  freePort,
  type Pairing,
  type Program,
  playStreams,
  type StubHost,
  type StubStream,
  scratchFolder,
  streamedCall,
  unixHttp,
} from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { afterEach, describe, expect, it } from 'vitest';

const client = fileURLToPath(new URL('clients/stream.php', import.meta.url));

interface Setting extends AsyncDisposable {
  pairing: Pairing;
  broker: Program;
  host: StubHost;
  /** Resolves with the next stream that the host is asked for. */
  stream(): Promise<StubStream>;
}

async function setUp(env: Record<string, string> = {}): Promise<Setting> {
  const cleanup = new AsyncDisposableStack();
  const { path: folder } = cleanup.use(await scratchFolder());
  const port = await freePort();
  const pairing = await createPairing({ folder, hostId: 'host-1', port, podmanSocket: '/nowhere' });
  const broker = cleanup.use(pairing.startBroker({ env }));
  await broker.logged(line => line.msg === 'listening for Laravel');
  const asked: StubStream[] = [];
  const token = await readFile(join(folder, 'host-jwt'), 'utf8');
  const address = `127.0.0.1:${port}`;
  const host = connectStubHost({ address, token, onCommand: playStreams(stream => void asked.push(stream)) });
  cleanup.defer(() => host.cut());
  await host.accepted;
  return {
    pairing,
    broker,
    host,
    stream: () => soon(() => asked.shift() ?? expect.fail('no stream')),
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  };
}

const exec = (requestId: string) => ({
  host_id: 'host-1',
  request_id: requestId,
  command: { type: 'containers.exec', id: 'web', cmd: ['cat'] },
});

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** Runs PHP and yields the lines that it prints as they arrive. */
function php(socket: string, ...args: string[]) {
  const child = spawn('php', [client, socket, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const exited = once(child, 'close');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    exited: exited.then(([code]) => code as number | null),
    async next(): Promise<unknown> {
      const { done, value } = await lines.next();
      return done === true ? undefined : (JSON.parse(value) as unknown);
    },
  };
}

describe('a PHP client', () => {
  it('reads a stream line by line, and writes to it', async () => {
    await using setting = await setUp();
    const { socketPath } = setting.pairing;
    const reader = php(
      ...([socketPath, JSON.stringify(exec('php-1')), '{"stdin":"ls\\n"}\n{"eof":true}\n'] as const),
    );
    const stream = await setting.stream();
    expect(stream.command.command).toMatchObject({ case: 'containersExec', value: { cmd: ['cat'] } });
    stream.open(2);
    expect(await reader.next()).toEqual({ request_id: 'php-1', status: 'ok' });
    expect(await stream.input()).toMatchObject({ case: 'stdin', value: Buffer.from('ls') });
    stream.grant(100);
    expect(await stream.input()).toMatchObject({ case: 'stdin', value: Buffer.from('\n') });
    expect(await stream.input()).toEqual({ case: 'eof', value: true });
    expect(await reader.next()).toEqual({ input_status: 204 });
    // Each line is sent only after the one before was read: nothing is buffered on the way.
    for (const text of ['one\n', 'zwei ü\n']) {
      stream.push(text);
      expect(await reader.next()).toEqual({ stream: 'stdout', data: text });
    }
    stream.end(3);
    expect(await reader.next()).toEqual({ exit_code: 3 });
    expect(await reader.exited).toBe(0);
  });

  it('gets the refusal of a stream like that of a dispatch', async () => {
    await using setting = await setUp();
    const reader = php(setting.pairing.socketPath, JSON.stringify(exec('php-2')));
    (await setting.stream()).fail(404, 'no such container', 'id');
    expect(await reader.next()).toEqual({
      request_id: 'php-2',
      status: 'error',
      code: 404,
      message: 'no such container',
      field: 'id',
      reason: 'not_found',
    });
    expect(await reader.exited).toBe(0);
  });

  it('that is killed is noticed: its host is told to stop', async () => {
    await using setting = await setUp();
    const reader = php(setting.pairing.socketPath, JSON.stringify(exec('php-3')));
    const stream = await setting.stream();
    stream.open();
    await reader.next();
    reader.child.kill('SIGKILL');
    await stream.cancelled;
  });

  it('is told at once when the host is lost', async () => {
    await using setting = await setUp();
    const reader = php(setting.pairing.socketPath, JSON.stringify(exec('php-4')));
    const stream = await setting.stream();
    stream.open();
    expect(await reader.next()).toMatchObject({ status: 'ok' });
    setting.host.cut();
    expect(await reader.next()).toEqual({
      error: 'host disconnected',
      code: 503,
      reason: 'host_disconnected',
    });
    expect(await reader.exited).toBe(0);
  });
});

it('that stops reading blocks only its own stream, and loses nothing', async () => {
  await using setting = await setUp();
  const { socketPath } = setting.pairing;
  const slow = php(socketPath, JSON.stringify(exec('slow')));
  const stream = await setting.stream();
  stream.open();
  await slow.next();
  slow.child.kill('SIGSTOP');
  const size = 8 * 1024 * 1024;
  const writing = stream.write('x'.repeat(size)).then(() => stream.end(0));
  await soon(() => expect(stream.credit()).toBe(0));
  await using http = unixHttp(socketPath);
  for (let n = 0; n < 20; n += 1) {
    using other = streamedCall({ socketPath, path: '/v1/coold/stream', json: exec(`other-${n}`) });
    const quick = await setting.stream();
    quick.open();
    quick.push('hi');
    quick.end(0);
    expect(await other.rest()).toEqual([
      { request_id: `other-${n}`, status: 'ok' },
      { stream: 'stdout', data: 'hi' },
      { exit_code: 0 },
    ]);
    expect((await http.request({ path: '/v1/health' })).status).toBe(200);
  }
  slow.child.kill('SIGCONT');
  let read = 0;
  let last: unknown;
  for (let line = await slow.next(); line !== undefined; line = await slow.next()) {
    last = line;
    read += (line as { data?: string }).data?.length ?? 0;
  }
  await writing;
  expect([read, last]).toEqual([size, { exit_code: 0 }]);
}, 120_000);

it('loses the stream of a host that floods it, while the host stays connected', async () => {
  await using setting = await setUp();
  const { socketPath } = setting.pairing;
  const reader = php(socketPath, JSON.stringify(exec('flood')));
  const stream = await setting.stream();
  stream.open();
  await reader.next();
  reader.child.kill('SIGSTOP');
  for (let n = 0; n < 40; n += 1) stream.push(Buffer.alloc(64 * 1024, 'x'));
  await stream.cancelled;
  reader.child.kill('SIGCONT');
  let last: unknown;
  for (let line = await reader.next(); line !== undefined; line = await reader.next()) last = line;
  expect(last).toEqual({
    error: 'host sent more of the stream than it was granted',
    code: 502,
    reason: 'stream_broken',
  });
  await setting.broker.logged(({ msg }) => String(msg).startsWith('host broke the rules of a stream'));
  await using http = unixHttp(socketPath);
  expect((await http.request({ path: '/v1/streams' })).json()).toMatchObject([{ host_id: 'host-1' }]);
}, 60_000);

it('gets the end of every stream when the broker stops in order', async () => {
  await using setting = await setUp();
  const readers = ['a', 'b'].map(id => php(setting.pairing.socketPath, JSON.stringify(exec(id))));
  for (const reader of readers) {
    const stream = await setting.stream();
    stream.open();
    void reader;
  }
  for (const reader of readers) expect(await reader.next()).toMatchObject({ status: 'ok' });
  setting.broker.signal('SIGTERM');
  for (const reader of readers) {
    expect(await reader.next()).toEqual({
      error: 'broker is stopping',
      code: 503,
      reason: 'broker_stopping',
    });
    expect(await reader.exited).toBe(0);
  }
  expect(await setting.broker.exited).toEqual({ code: 0, signal: null });
});
