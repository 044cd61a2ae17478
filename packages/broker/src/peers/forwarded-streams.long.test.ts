// Streams of hosts that another broker holds: two brokers as processes, and stub hosts that can misbehave.
import { playStreams, type StubHost, type StubStream, streamedCall } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Broker, type Ground, startGround } from '../../test/brokers.ts';

let ground: Ground;
let b1: Broker;
let b2: Broker;
let host: StubHost;
const asked: StubStream[] = [];

beforeAll(async () => {
  ground = await startGround();
  [b1, b2] = await Promise.all([ground.start('b1'), ground.start('b2')]);
  host = await hostOn(b2, 'h');
}, 120_000);
afterAll(() => ground[Symbol.asyncDispose]());

/** A host that plays streams, once b1 knows where it is. */
async function hostOn(broker: Broker, hostId: string, options: object = {}): Promise<StubHost> {
  const onCommand = playStreams(
    stream => void asked.push(stream),
    ({ requestId }, stub) =>
      stub.respond({ requestId, body: { case: 'listContainers', value: { containers: [] } } }),
  );
  const stub = await broker.host(hostId, { onCommand, ...options });
  await soon(async () => expect((await b1.dispatch(hostId, `known-${hostId}`)).status).toBe(200));
  return stub;
}

const call = (
  requestId: string,
  hostId = 'h',
  command: object = { type: 'containers.exec', id: 'web', cmd: ['cat'] },
) =>
  streamedCall({
    socketPath: b1.socketPath,
    path: '/v1/coold/stream',
    json: { host_id: hostId, request_id: requestId, command },
  });
const next = () => soon(() => asked.shift() ?? expect.fail('no stream'));

/** A stream that its host has opened. */
async function open(requestId: string, stdinCredit = 0, hostId = 'h') {
  const reading = call(requestId, hostId);
  const stream = await next();
  stream.open(stdinCredit);
  expect(await reading.next()).toEqual({ request_id: requestId, status: 'ok' });
  return { reading, stream };
}

/** The host and both brokers have nothing of it any more: its id is free on both. */
const isFree = (requestId: string) =>
  soon(async () => expect((await b1.dispatch('h', requestId)).status).toBe(200));

describe('a stream of a host elsewhere', () => {
  it('brings output, takes input and ends with the exit code', async () => {
    const { reading, stream } = await open('io', 1024);
    await stream.write('hello\n');
    expect(await reading.next()).toEqual({ stream: 'stdout', data: 'hello\n' });
    const input = streamedCall({ socketPath: b1.socketPath, path: '/v1/coold/stream/io/input' });
    await input.write({ stdin: 'typed' });
    expect(await stream.input()).toMatchObject({ case: 'stdin', value: Buffer.from('typed') });
    await input.write({ resize: { cols: 80, rows: 24 } });
    expect(await stream.input()).toMatchObject({ case: 'resize', value: { cols: 80, rows: 24 } });
    input.end();
    expect((await input.answered).status).toBe(204);
    stream.end(7);
    expect(await reading.rest()).toEqual([{ exit_code: 7 }]);
    await isFree('io');
  });

  it('of many windows comes whole', async () => {
    const { reading, stream } = await open('large');
    const line = `${'x'.repeat(1023)}\n`;
    void stream.write(line.repeat(3000)).then(() => stream.end(0));
    const lines = (await reading.rest()) as { data?: string; exit_code?: number }[];
    expect(lines.at(-1)).toEqual({ exit_code: 0 });
    expect(lines.map(({ data = '' }) => data).join('')).toBe(line.repeat(3000));
  });

  it('that nobody reads stops at its window', async () => {
    const { reading, stream } = await open('unread');
    const writing = stream.write('x'.repeat(16 * 1024 * 1024));
    writing.catch(() => {});
    await soon(() => expect(stream.credit()).toBe(0));
    // Other dispatches over the same connection are not held up with it.
    expect((await b1.dispatch('h', 'beside')).status).toBe(200);
    reading.hangUp();
    await stream.cancelled;
    await expect(writing).rejects.toThrow('cancelled');
  });

  it('is cancelled at its host when its caller hangs up, opened or not', async () => {
    const { reading, stream } = await open('left');
    reading.hangUp();
    await stream.cancelled;
    await isFree('left');
    const early = call('early');
    const unopened = await next();
    early.hangUp();
    await unopened.cancelled;
    await isFree('early');
  });

  it('that its host refuses is an envelope of the host', async () => {
    const reading = call('refused');
    (await next()).fail(404, 'no such container', 'id');
    expect((await reading.answered).status).toBe(200);
    expect(await reading.rest()).toMatchObject([
      { status: 'error', code: 404, message: 'no such container', field: 'id' },
    ]);
    await isFree('refused');
  });

  it('that its host does not begin is a 504, and cancelled there', async () => {
    const reading = call('silent');
    const stream = await next();
    expect((await reading.answered).status).toBe(504);
    await stream.cancelled;
    await isFree('silent');
  });

  it('whose id is under way on the other broker is a 409', async () => {
    const other = streamedCall({
      socketPath: b2.socketPath,
      path: '/v1/coold/stream',
      json: { host_id: 'h', request_id: 'twice', command: { type: 'containers.logs', id: 'web' } },
    });
    (await next()).open();
    expect((await other.answered).status).toBe(200);
    const reading = call('twice');
    expect((await reading.answered).status).toBe(409);
    other.hangUp();
  });

  it('above the schema of the host is a 501', async () => {
    await hostOn(b2, 'old', {
      hello: { cooldVersion: 'old', capabilities: ['coold'], schemaMin: 1, schemaMax: 1 },
    });
    const reading = call('old', 'old');
    expect((await reading.answered).status).toBe(501);
    expect(await reading.rest()).toMatchObject([
      { field: 'command.type', message: expect.stringContaining('speaks up to 1') },
    ]);
  });

  it('of a host that sends more than it was granted is broken off', async () => {
    const { reading, stream } = await open('flood');
    stream.push('x'.repeat(300 * 1024));
    const lines = await reading.rest();
    expect(lines.at(-1)).toEqual({
      error: 'host sent more of the stream than it was granted',
      code: 502,
      reason: 'stream_broken',
    });
    await stream.cancelled;
    await isFree('flood');
  });

  it('of a host that is lost ends with a line with the reason', async () => {
    const lost = await hostOn(b2, 'lost');
    const { reading, stream } = await open('lost', 0, 'lost');
    await stream.write('last words\n');
    expect(await reading.next()).toEqual({ stream: 'stdout', data: 'last words\n' });
    lost.cut();
    expect(await reading.rest()).toEqual([
      { error: 'host disconnected', code: 503, reason: 'host_disconnected' },
    ]);
  });

  it.each(['SIGKILL', 'SIGTERM'] as const)(
    'of a broker that ends by %s ends with a line with the reason',
    async signal => {
      const b3 = await ground.start(`b3-${signal}`);
      await hostOn(b3, signal);
      const { reading } = await open(`by-${signal}`, 0, signal);
      b3.program.signal(signal);
      const said =
        signal === 'SIGTERM'
          ? /^broker is stopping$/
          : new RegExp(`^host SIGKILL is connected to broker b3-SIGKILL at ${b3.address}, which `);
      const reason = signal === 'SIGTERM' ? 'broker_stopping' : 'peer_unreachable';
      expect(await reading.rest()).toEqual([{ error: expect.stringMatching(said), code: 503, reason }]);
    },
  );

  it('was of one host all the time, which is still there', async () => {
    expect((await b1.dispatch('h', 'there')).status).toBe(200);
    host.finish();
    await host.ended;
  });
});
