// What a hostile or broken client does to the listener, on real sockets: each is given up, and costs the others nothing.
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { agentStream, ClientMsgSchema, HelloSchema, ResponseSchema, ServerMsgSchema } from '@coold/proto';
import { soon } from '@coold/testbed/soon';
import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { startAgents, tokenFor } from '../../test/agents.ts';
import type { GrpcOptions } from '../grpc/grpc.ts';
import { frameMessage } from '../grpc/message-reader.ts';

async function setUp(grpc: Partial<GrpcOptions> = {}) {
  const broker = await startAgents({ grpc });
  return {
    ...broker,
    port: Number(broker.address.split(':')[1]),
    url: `http://${broker.address}`,
    /** A host still gets in. */
    async welcomes() {
      const host = broker.connect({ token: await tokenFor('honest') });
      await host.accepted;
      host.cut();
    },
  };
}

/** A connection that has said what HTTP/2 begins with, and says what a test wants from then on. */
async function rawConnection(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {}); // a reset is what is wanted
  await once(socket, 'connect');
  socket.resume();
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  socket.write(frame(types.settings, 0, 0));
  return socket;
}

const types = { headers: 1, reset: 3, settings: 4, ping: 6, continuation: 9 };
const endHeaders = 4;

function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header field for HPACK, not indexed; a value of more than 126 bytes has a length of several. */
function field(name: string, value: string): Buffer {
  const length = (n: number) => {
    if (n < 127) return Buffer.of(n);
    const bytes = [127];
    for (let rest = n - 127; ; rest >>= 7) {
      if (rest < 128) return Buffer.from([...bytes, rest]);
      bytes.push((rest & 127) | 128);
    }
  };
  return Buffer.concat([
    Buffer.of(0),
    length(name.length),
    Buffer.from(name),
    length(value.length),
    Buffer.from(value),
  ]);
}

const request = Buffer.concat([
  field(':method', 'POST'),
  field(':scheme', 'http'),
  field(':authority', 'broker'),
  field(':path', agentStream.path),
  field('content-type', 'application/grpc'),
]);

/** Writes what it is given, again and again, until the other end has had enough. */
async function floodUntilCut(socket: Socket, next: (n: number) => Buffer): Promise<void> {
  const closed = closing(socket);
  for (let n = 0; !socket.destroyed; n += 1) {
    const more = socket.write(next(n));
    if (!more || n % 50 === 0) await new Promise(resolve => setImmediate(resolve));
  }
  await closed;
}

/** Resolves when a socket is closed, by an error too: a reset is what is wanted. */
function closing(socket: Socket): Promise<void> {
  return new Promise(resolve => socket.once('close', () => resolve()));
}

describe('a connection is cut', () => {
  it.each<[string, (n: number) => Buffer]>([
    ['that floods PINGs', () => frame(types.ping, 0, 0, Buffer.alloc(8))],
    ['that floods SETTINGS', () => frame(types.settings, 0, 0)],
    [
      'that opens streams and resets them',
      n =>
        Buffer.concat([
          frame(types.headers, endHeaders, 2 * n + 1, request),
          frame(types.reset, 0, 2 * n + 1, Buffer.from([0, 0, 0, 8])),
        ]),
    ],
    [
      'whose headers go on for ever',
      n =>
        n === 0
          ? frame(types.headers, 0, 1, request)
          : frame(types.continuation, 0, 1, field(`x-${n}`, 'x'.repeat(100))),
    ],
    [
      'whose headers go on for ever, with nothing in them',
      n => (n === 0 ? frame(types.headers, 0, 1, request) : frame(types.continuation, 0, 1)),
    ],
    ['that sends what is no HTTP/2', () => Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ])('%s', async (_, next) => {
    using broker = await setUp();
    const other = broker.connect({ token: await tokenFor('other') });
    await other.accepted;
    await floodUntilCut(await rawConnection(broker.port), next);
    await broker.welcomes();
    expect(broker.hosts.get('other'), 'the others live on').toBeDefined();
    other.cut();
  });

  it('whose token is 1 MB', async () => {
    using broker = await setUp();
    const socket = await rawConnection(broker.port);
    const closed = closing(socket);
    const block = Buffer.concat([request, field('authorization', `Bearer ${'x'.repeat(1 << 20)}`)]);
    socket.write(frame(types.headers, 0, 1, block.subarray(0, 16_000)));
    for (let at = 16_000; at < block.length; at += 16_000)
      socket.write(frame(types.continuation, 0, 1, block.subarray(at, at + 16_000)));
    await closed;
    await broker.welcomes();
  });

  it('that says nothing', async () => {
    using broker = await setUp({ idleConnectionMs: 200 });
    const silent = connect(broker.port, '127.0.0.1');
    silent.resume();
    await closing(silent);
  });

  it('that speaks HTTP/2 and has no host on it', async () => {
    using broker = await setUp({ idleConnectionMs: 200 });
    const session = connectHttp2(broker.url);
    session.on('error', () => {});
    await once(session, 'close');
  });

  it('whose host was replaced and reads nothing, so that it never learns of it', async () => {
    using broker = await setUp({ idleConnectionMs: 300 });
    const first = broker.connect({ token: await tokenFor('h'), reads: false });
    await first.accepted;
    const stream = broker.hosts.get('h');
    const command = { case: 'listContainers' as const, value: {} };
    const requestId = 'r'.repeat(100);
    for (let n = 0; n < 3000; n += 1) stream?.send(create(ServerMsgSchema, { requestId, command }));
    const second = broker.connect({ token: await tokenFor('h') });
    await second.accepted;
    expect(broker.hosts.list()).toHaveLength(1);
    await soon(() => expect(broker.listener.connections()).toEqual({ open: 1, idle: 0 }));
    second.cut();
  });
});

describe('connections without a host', () => {
  it('are limited in number: the oldest are cut, one line says so, and a host still connects', async () => {
    using broker = await setUp({ maxIdleConnections: 20 });
    const silent: Socket[] = [];
    for (let n = 0; n < 100; n += 1) {
      const socket = connect(broker.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.resume();
      await once(socket, 'connect');
      silent.push(socket);
    }
    await soon(() => expect(silent.filter(socket => socket.destroyed)).toHaveLength(80));
    expect(broker.listener.connections().open).toBe(20);
    await broker.welcomes();
    expect(broker.lines.filter(line => line.includes('too many connections'))).toHaveLength(1);
    for (const socket of silent) socket.destroy();
  });
});

describe('a call is refused', () => {
  const call = async (url: string, headers: Record<string, string>) => {
    const session = connectHttp2(url);
    const stream = session.request({ ':method': 'POST', 'content-type': 'application/grpc', ...headers });
    const [answer] = (await once(stream, 'response')) as [Record<string, string>];
    session.destroy();
    return answer;
  };

  it.each([
    ['of another method', { ':path': '/other.Service/Method' }, { 'grpc-status': '12' }],
    ['of a path that is no ASCII', { ':path': '/\u00c3' }, { 'grpc-status': '12' }],
    ['that is no gRPC', { ':path': agentStream.path, 'content-type': 'text/html' }, { ':status': 415 }],
    ['that is no POST', { ':path': agentStream.path, ':method': 'PUT' }, { ':status': 405 }],
    ['without a token', { ':path': agentStream.path }, { 'grpc-status': '16' }],
    [
      'with a token of 40 KB',
      { ':path': agentStream.path, authorization: `Bearer ${'x'.repeat(40_960)}` },
      { 'grpc-status': '16' },
    ],
    [
      'whose token has half a character in its header, in words that can be sent',
      {
        ':path': agentStream.path,
        authorization: `Bearer ${[String.raw`{"alg":"ES256","crit":["\ud800"],"\ud800":true}`, '{}', 'x']
          .map(part => Buffer.from(part).toString('base64url'))
          .join('.')}`,
      },
      { 'grpc-status': '16' },
    ],
  ])('%s', async (_, headers, answer) => {
    using broker = await setUp();
    expect(await call(broker.url, headers)).toMatchObject(answer);
    await broker.welcomes();
  });

  it.each<[string, Buffer, status]>([
    ['whose first message is compressed', Buffer.from([1, 0, 0, 0, 1, 0]), status.UNIMPLEMENTED],
    ['whose first message is over 512 KiB', Buffer.from([0, 0, 8, 0, 1]), status.RESOURCE_EXHAUSTED],
  ])('%s', async (_, bytes, code) => {
    using broker = await setUp();
    const session = connectHttp2(broker.url);
    const stream = session.request({
      ':method': 'POST',
      ':path': agentStream.path,
      'content-type': 'application/grpc',
      authorization: `Bearer ${await tokenFor('h')}`,
    });
    stream.write(bytes);
    const [answer] = (await once(stream, 'response')) as [Record<string, string>];
    expect(answer['grpc-status']).toBe(String(code));
    session.destroy();
  });
});

it('a hundred connections that flood at once are a few lines in the log', async () => {
  using broker = await setUp();
  const ping = frame(types.ping, 0, 0, Buffer.alloc(8));
  const sockets = await Promise.all(Array.from({ length: 100 }, () => rawConnection(broker.port)));
  await Promise.all(sockets.map(socket => floodUntilCut(socket, () => ping)));
  const said = broker.lines.filter(line => line.startsWith('a flood of HTTP/2 control frames'));
  expect(said.length).toBeGreaterThan(0);
  expect(said.length).toBeLessThan(100);
  await broker.welcomes();
});

it('a thousand calls without a token are a few lines in the log, and each is counted', async () => {
  using broker = await setUp();
  const session = connectHttp2(broker.url);
  session.setMaxListeners(0);
  for (let n = 0; n < 1000; n += 1) {
    const stream = session.request({
      ':method': 'POST',
      ':path': agentStream.path,
      'content-type': 'application/grpc',
    });
    stream.resume();
    stream.end();
    await once(stream, 'close');
  }
  const refused = broker.lines.filter(line => line === 'stream refused').length;
  expect(refused).toBeGreaterThan(0);
  expect(refused).toBeLessThan(1000);
  expect(broker.counts.authFailures.get('missing')).toBe(1000);
  await broker.welcomes();
  session.destroy();
});

describe('a host that is in', () => {
  it('may send a million answers that nobody waits for: a few lines in the log', async () => {
    using broker = await setUp();
    const session = connectHttp2(broker.url);
    const stream = session.request({
      ':method': 'POST',
      ':path': agentStream.path,
      'content-type': 'application/grpc',
      authorization: `Bearer ${await tokenFor('h')}`,
    });
    const message = (payload: Parameters<typeof clientMsg>[0]) => frameMessage(clientMsg(payload));
    stream.write(message({ case: 'hello', value: create(HelloSchema, { capabilities: ['coold'] }) }));
    await once(stream, 'response');
    const unknown = message({
      case: 'response',
      value: create(ResponseSchema, { requestId: 'nobody-asked' }),
    });
    const thousand = Buffer.concat(Array.from({ length: 1000 }, () => unknown));
    for (let n = 0; n < 1000; n += 1) if (!stream.write(thousand)) await once(stream, 'drain');
    await soon(
      () => expect(broker.lines.filter(line => line.includes('no caller waits for'))).toHaveLength(7),
      { timeout: 60_000 },
    );
    await broker.welcomes();
    session.destroy();
  }, 120_000);
});

function clientMsg(payload: NonNullable<MessageInitShape<typeof ClientMsgSchema>['payload']>): Uint8Array {
  return toBinary(ClientMsgSchema, create(ClientMsgSchema, { payload }));
}
