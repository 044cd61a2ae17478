// The lane between brokers, its two ends in one process, with real certificates: what can go wrong on it.
import { constants, createSecureServer, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { testLog } from '@coold/corrosion/testing';
import {
  ForwardRequestSchema,
  ForwardResponseSchema,
  forwardPath,
  ResponseSchema,
  readVerbs,
  type ServerMsg,
  ServerMsgSchema,
  streamName,
} from '@coold/proto';
import { createAuthority, layCable, scratchFolder } from '@coold/testbed';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { HostStream } from '../hosts.ts';
import { createHosts } from '../hosts.ts';
import { frameMessage } from '../message-reader.ts';
import { createPark } from '../park.ts';
import { createPending } from '../pending.ts';
import { createStreams } from '../streams.ts';
import type { Credentials } from './credentials.ts';
import { createForward, type ForwardOutcome } from './forward.ts';
import { createPeerLink, type PeerLinkOptions } from './peer-link.ts';
import { listenForPeers, readTimeout } from './peer-listener.ts';
import { relayStreamed } from './relay-streamed.ts';
import { takeForwarded } from './take-forwarded.ts';

const stack = new AsyncDisposableStack();
let ours: { b1: Credentials; b2: Credentials; ended: Credentials };
let strangers: Credentials;

beforeAll(async () => {
  const folder = stack.use(await scratchFolder());
  const authority = await createAuthority(folder.path);
  const stranger = await createAuthority(folder.path, 'stranger');
  const issued = await Promise.all([
    authority.issue('b1'),
    authority.issue('b2'),
    authority.issue('old', { days: -1 }),
  ]);
  const [b1, b2, ended] = issued.map(({ credentials }) => credentials) as [
    Credentials,
    Credentials,
    Credentials,
  ];
  ours = { b1, b2, ended };
  strangers = (await stranger.issue('s')).credentials;
}, 60_000);
afterAll(() => stack.disposeAsync());

const never = new AbortController().signal;
const command = (requestId: string): ServerMsg =>
  create(ServerMsgSchema, { requestId, command: { case: 'listContainers', value: {} } });
const answered = (requestId: string) =>
  create(ResponseSchema, { requestId, body: { case: 'listContainers', value: { containers: [] } } });

const seldom = { everyMs: 30_000, timeoutMs: 30_000 };

/** Broker b2 with host h, whose answers a test decides. */
async function startB2({ max = 100, timeoutMs = 5000, credentials = ours.b2, keepalive = seldom } = {}) {
  const hosts = createHosts();
  const sent: ServerMsg[] = [];
  const host = {
    ...{ hostId: 'h', schemaMax: 2 },
    send: (message: ServerMsg) => sent.push(message) > 0,
    sendOwed: (message: ServerMsg) => void sent.push(message),
  } as unknown as HostStream;
  hosts.add(host);
  const pending = createPending({
    max,
    timeoutMs,
    landedTtlMs: 30_000,
    overdueTtlMs: 60_000,
    landedMaxBytes: 1 << 20,
  });
  const taken: string[] = [];
  const taking = {
    ...{ brokerId: 'b2', verbs: readVerbs(), log: testLog() },
    count: (outcome: string) => void taken.push(outcome),
  };
  const take = takeForwarded({ ...taking, park: createPark({ hosts, pending }) });
  const streams = createStreams({ pending, windowBytes: 1024, timeoutMs });
  const relay = relayStreamed({ ...taking, hosts, streams });
  const bind = { host: '127.0.0.1', port: 0 };
  const limits = { maxCalls: 1000, maxRequestBytes: 1 << 20, keepalive };
  const listener = await listenForPeers({ bind, credentials, take, relay, ...limits, log: testLog() });
  const answer = (requestId: string) => pending.answer(host, answered(requestId), 10);
  return { hosts, host, pending, sent, taken, listener, answer, [Symbol.dispose]: () => listener.close() };
}

/** Broker b1, as it asks. */
function startB1(address: string, options: Partial<PeerLinkOptions> & { brokerId?: string } = {}) {
  const outcomes: ForwardOutcome[] = [];
  const link = createPeerLink({
    ...{ brokerId: 'b2', address, credentials: () => ours.b1, connectTimeoutMs: 5000, log: testLog() },
    ...{ backoff: { firstMs: 1, maxMs: 5 } },
    ...options,
  });
  const forward = createForward({
    brokerId: options.brokerId ?? 'b1',
    links: { to: () => link },
    record: ({ outcome }) => void outcomes.push(outcome),
  });
  const ask = (requestId: string, { to = 'b2', hostId = 'h', timeoutMs = 5000, signal = never } = {}) =>
    forward({ hostId, brokerId: to, address, connectedAt: 1 }, command(requestId), timeoutMs, signal);
  return { link, outcomes, ask, [Symbol.dispose]: () => link.close() };
}

/** A peer that answers as no broker does: a fake, for a real one cannot be made to. */
async function startFakePeer(reply: (stream: ServerHttp2Stream) => void) {
  const server = createSecureServer({ ...ours.b2, requestCert: true });
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', session => sessions.add(session));
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {});
    stream.resume();
    reply(stream);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.dispose]() {
      server.close();
      for (const session of sessions) session.destroy();
    },
  };
}

function replyWith(stream: ServerHttp2Stream, ...messages: Uint8Array[]) {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  for (const message of messages) stream.write(frameMessage(message));
  stream.end();
}

describe('a forward', () => {
  it('brings the host’s answer, on one connection for all', async () => {
    using b2 = await startB2();
    using b1 = startB1(b2.listener.address);
    const asked = ['r-1', 'r-2', 'r-3'].map(id => b1.ask(id));
    await vi.waitFor(() => expect(b2.sent).toHaveLength(3));
    for (const { requestId } of b2.sent) b2.answer(requestId);
    expect(await Promise.all(asked)).toMatchObject(
      ['r-1', 'r-2', 'r-3'].map(requestId => ({ kind: 'answered', response: { requestId } })),
    );
    await vi.waitFor(() => expect(b2.pending.counts()).toEqual({ waiting: 0, landed: 0, overdue: 0 }));
    expect(b1.outcomes).toEqual(['answered', 'answered', 'answered']);
    expect(b2.taken).toEqual(['answered', 'answered', 'answered']);
  });

  it('of a host that moved between the look-up and the forward is a 503 that names both', async () => {
    using b2 = await startB2();
    using b1 = startB1(b2.listener.address);
    expect(await b1.ask('r', { hostId: 'gone' })).toMatchObject({
      ...{ kind: 'refused', code: 503 },
      message: `host gone is connected to broker b2 at ${b2.listener.address}, which does not have it any more`,
    });
    expect(b1.outcomes).toEqual(['moved']);
  });

  it.each([
    ['at its cap', 503, 'broker at pending-dispatch capacity', 1],
    ['that has the id in flight', 409, 'request_id already in flight', 100],
  ])('to a broker %s brings its refusal', async (_, code, message, max) => {
    using b2 = await startB2({ max });
    using b1 = startB1(b2.listener.address);
    const first = b1.ask('r-1');
    await vi.waitFor(() => expect(b2.sent).toHaveLength(1));
    expect(await b1.ask(code === 409 ? 'r-1' : 'r-2')).toMatchObject({ kind: 'refused', code, message });
    b2.answer('r-1');
    expect((await first).kind).toBe('answered');
  });

  it('waits as long as its caller, and the answer that comes later is for who asks again', async () => {
    using b2 = await startB2();
    using b1 = startB1(b2.listener.address);
    expect(await b1.ask('r', { timeoutMs: 50 })).toMatchObject({
      kind: 'refused',
      code: 504,
      message: 'dispatch timeout',
    });
    expect(b2.answer('r')).toBe('landed');
    expect(await b1.ask('r')).toMatchObject({ kind: 'answered' });
    expect(b2.sent, 'the host was asked once').toHaveLength(1);
  });

  it('whose caller leaves is given up on the other side too', async () => {
    using b2 = await startB2();
    using b1 = startB1(b2.listener.address);
    const left = new AbortController();
    const asked = b1.ask('r', { signal: left.signal });
    await vi.waitFor(() => expect(b2.pending.counts().waiting).toBe(1));
    left.abort();
    expect((await asked).kind).toBe('refused');
    expect(b1.outcomes).toEqual(['cancelled']);
    await vi.waitFor(() => expect(b2.pending.counts()).toMatchObject({ waiting: 0, overdue: 1 }));
  });

  it('of a lost host fails at once', async () => {
    using b2 = await startB2();
    using b1 = startB1(b2.listener.address);
    const asked = b1.ask('r');
    await vi.waitFor(() => expect(b2.sent).toHaveLength(1));
    b2.pending.disconnected(b2.host);
    expect(await asked).toMatchObject({ code: 503, message: 'host disconnected' });
  });

  it('that leads to another broker than was meant, or back, is refused', async () => {
    using b2 = await startB2();
    using b1 = startB1(b2.listener.address);
    expect(await b1.ask('r', { to: 'b9' })).toMatchObject({
      code: 503,
      message: expect.stringContaining('this is broker b2, not b9'),
    });
    using itself = startB1(b2.listener.address, { brokerId: 'b2' });
    expect(await itself.ask('r')).toMatchObject({
      code: 503,
      message: expect.stringContaining('led to itself'),
    });
    expect(b2.sent).toEqual([]);
    expect(b2.taken).toEqual(['misled', 'misled']);
  });
});

describe('who is not a broker is not heard:', () => {
  it.each<[string, () => Credentials]>([
    ['a certificate of another CA', () => ({ ...strangers, ca: ours.b1.ca })],
    ['a certificate that has ended', () => ours.ended],
  ])('%s', async (_, credentials) => {
    using b2 = await startB2();
    using b1 = startB1(b2.listener.address, { credentials });
    expect(await b1.ask('r')).toMatchObject({
      code: 503,
      message: expect.stringMatching(
        /^host h is connected to broker b2 at .* which cannot be reached: .*certificate/,
      ),
    });
    expect(b1.outcomes).toEqual(['unreachable']);
    expect(b2.sent).toEqual([]);
  });

  it('no certificate at all', async () => {
    using b2 = await startB2();
    using b1 = startB1(b2.listener.address, { credentials: () => ({ ca: ours.b1.ca }) as Credentials });
    expect(await b1.ask('r')).toMatchObject({
      code: 503,
      message: expect.stringContaining('certificate required'),
    });
    expect(b2.sent).toEqual([]);
  });

  it('and a broker that another CA vouches for is sent nothing', async () => {
    using b2 = await startB2({ credentials: strangers });
    using b1 = startB1(b2.listener.address);
    expect(await b1.ask('r')).toMatchObject({
      code: 503,
      message: expect.stringContaining('cannot be reached'),
    });
    expect(b2.sent).toEqual([]);
  });

  it('new credentials count from the next connection on; what is under way goes on', async () => {
    using b2 = await startB2();
    using b1 = startB1(b2.listener.address);
    const first = b1.ask('r-1');
    await vi.waitFor(() => expect(b2.sent).toHaveLength(1));
    b2.listener.renew(strangers);
    b2.answer('r-1');
    expect((await first).kind).toBe('answered');
    await vi.waitFor(async () =>
      expect(await b1.ask('r-2')).toMatchObject({
        code: 503,
        message: expect.stringContaining('cannot be reached'),
      }),
    );
    b2.listener.renew(ours.b2);
    await vi.waitFor(async () => expect(await b1.ask('r-3', { timeoutMs: 20 })).toMatchObject({ code: 504 }));
  });
});

describe('a peer', () => {
  it('that is not there is told at once, again and again', async () => {
    const b2 = await startB2();
    b2.listener.close();
    using b1 = startB1(b2.listener.address);
    for (const id of ['r-1', 'r-2', 'r-3'])
      expect(await b1.ask(id)).toMatchObject({
        code: 503,
        message: expect.stringContaining('cannot be reached: connect ECONNREFUSED'),
      });
  });

  it('that takes no part in a handshake is given up', async () => {
    using b2 = await startB2();
    const [host = '', port = ''] = b2.listener.address.split(':');
    await using cable = await layCable({ host, port: Number(port) });
    cable.cut();
    using b1 = startB1(`127.0.0.1:${cable.port}`, { connectTimeoutMs: 100 });
    expect(await b1.ask('r')).toMatchObject({
      code: 503,
      message: expect.stringContaining('no connection within 100 ms'),
    });
  });

  it('that falls silent fails what waits for it, and is dialled anew', async () => {
    using b2 = await startB2();
    const [host = '', port = ''] = b2.listener.address.split(':');
    await using cable = await layCable({ host, port: Number(port) });
    using b1 = startB1(`127.0.0.1:${cable.port}`, { keepalive: { everyMs: 50, timeoutMs: 200 } });
    const asked = b1.ask('r-1');
    await vi.waitFor(() => expect(b2.sent).toHaveLength(1));
    cable.cut();
    expect(await asked).toMatchObject({ code: 503, message: expect.stringContaining('answers no PING') });
    expect(b1.outcomes).toEqual(['broke off']);
    cable.heal();
    await vi.waitFor(async () =>
      expect(await b1.ask('r-2', { timeoutMs: 500 })).toMatchObject({ code: 504 }),
    );
  });

  const response = (requestId: string, inner = requestId) =>
    toBinary(
      ForwardResponseSchema,
      create(ForwardResponseSchema, {
        requestId,
        body: { case: 'response', value: answered(inner) },
      }),
    );
  const refusal = (code: number) =>
    toBinary(
      ForwardResponseSchema,
      create(ForwardResponseSchema, {
        requestId: 'r',
        body: { case: 'refusal', value: { code, message: 'x' } },
      }),
    );
  it.each<[string, number, RegExp, (stream: ServerHttp2Stream) => void]>([
    [
      'answers for another request',
      502,
      /for another request/,
      stream => replyWith(stream, response('other')),
    ],
    [
      'brings another request’s answer',
      502,
      /for another request/,
      stream => replyWith(stream, response('r', 'other')),
    ],
    ['answers with bytes', 502, /no answer/, stream => replyWith(stream, Uint8Array.of(0x0a, 0xff))],
    [
      'answers nothing that is known',
      502,
      /nothing/,
      stream =>
        replyWith(stream, toBinary(ForwardResponseSchema, create(ForwardResponseSchema, { requestId: 'r' }))),
    ],
    ['refuses with 200', 502, /code 200/, stream => replyWith(stream, refusal(200))],
    ['answers twice', 503, /twice/, stream => replyWith(stream, response('r'), response('r'))],
    ['ends without an answer', 503, /without an answer/, stream => replyWith(stream)],
    [
      'is no gRPC server',
      503,
      /HTTP status 404/,
      stream => stream.respond({ ':status': 404 }, { endStream: true }),
    ],
    ['resets the call', 503, /broke off|ended/, stream => stream.close(2)],
    [
      'announces more than an answer has',
      503,
      /over the limit/,
      stream => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
        stream.write(Uint8Array.of(0, 0x7f, 0, 0, 0));
      },
    ],
  ])('that %s is a %i', async (_, code, message, reply) => {
    using peer = await startFakePeer(reply);
    using b1 = startB1(peer.address);
    expect(await b1.ask('r')).toMatchObject({
      kind: 'refused',
      code,
      message: expect.stringMatching(message),
    });
  });
});

describe('a broker that is asked', () => {
  it('lets go of the stream of a broker that is cut off, and the host is told', async () => {
    using b2 = await startB2({ keepalive: { everyMs: 50, timeoutMs: 200 } });
    const port = Number(b2.listener.address.split(':')[1]);
    await using cable = await layCable({ host: '127.0.0.1', port });
    using b1 = startB1(`127.0.0.1:${cable.port}`, { keepalive: seldom });
    const call = b1.link.stream({ message: () => {}, ended: () => {} });
    const request = create(ForwardRequestSchema, {
      ...{ fromBrokerId: 'b1', toBrokerId: 'b2', hostId: 'h' },
      command: {
        requestId: streamName('r', 1),
        command: { case: 'containersLogs', value: { id: 'c' } },
        stream: { credit: 1000n },
      },
    });
    call.write(toBinary(ForwardRequestSchema, request), () => {});
    await vi.waitFor(() => expect(b2.sent).toHaveLength(1), 10_000);
    cable.cut();
    await vi.waitFor(() => expect(b2.sent.at(-1)?.command.case).toBe('streamCancel'), 10_000);
  });

  it('hears the others however many connect that have no certificate', async () => {
    using b2 = await startB2();
    const port = Number(b2.listener.address.split(':')[1]);
    const silent = Array.from({ length: 400 }, () => connect(port, '127.0.0.1').on('error', () => {}));
    using b1 = startB1(b2.listener.address);
    await vi.waitFor(() => expect(silent.every(socket => !socket.connecting)).toBe(true), 10_000);
    const asked = b1.ask('r');
    await vi.waitFor(() => expect(b2.sent).toHaveLength(1), 10_000);
    b2.answer('r');
    expect(await asked).toMatchObject({ kind: 'answered' });
    for (const socket of silent) socket.destroy();
  });
});

describe('what a peer has certainly not looked at', () => {
  it('is sent again', async () => {
    let calls = 0;
    using peer = await startFakePeer(stream => {
      calls += 1;
      if (calls === 1) stream.close(constants.NGHTTP2_REFUSED_STREAM);
      else
        replyWith(
          stream,
          toBinary(
            ForwardResponseSchema,
            create(ForwardResponseSchema, {
              requestId: 'r',
              body: { case: 'response', value: answered('r') },
            }),
          ),
        );
    });
    using b1 = startB1(peer.address);
    expect(await b1.ask('r')).toMatchObject({ kind: 'answered' });
  });

  it('but not for ever', async () => {
    let calls = 0;
    using peer = await startFakePeer(stream => {
      calls += 1;
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
    });
    using b1 = startB1(peer.address);
    expect(await b1.ask('r')).toMatchObject({ kind: 'refused', code: 503 });
    expect(calls).toBe(2);
  });
});

describe('a request', () => {
  const call = { listContainers: { case: 'listContainers', value: {} } } as const;
  const request = (over: object) =>
    toBinary(
      ForwardRequestSchema,
      create(ForwardRequestSchema, {
        ...{
          fromBrokerId: 'b1',
          toBrokerId: 'b2',
          hostId: 'h',
          command: { requestId: 'r', command: call.listContainers },
        },
        ...over,
      }),
    );
  it.each<[string, () => Uint8Array, RegExp]>([
    ['that is bytes', () => Uint8Array.of(0x0a, 0xff), /not a ForwardRequest/],
    ['without a host', () => request({ hostId: '' }), /host_id/],
    [
      'with a request id that is a path',
      () => request({ command: { requestId: '../x', command: call.listContainers } }),
      /request_id/,
    ],
    ['without a command', () => request({ command: undefined }), /command/],
    [
      'with a command that is no verb',
      () => request({ command: { requestId: 'r', command: { case: 'cancelBuild', value: {} } } }),
      /verb/,
    ],
    [
      'for a stream',
      () => request({ command: { requestId: 'r', command: call.listContainers, stream: { credit: 1n } } }),
      /verb/,
    ],
    ['of 2 MB', () => request({ fromBrokerId: 'x'.repeat(2 << 20) }), /over the limit/],
  ])('%s is refused', async (_, bytes, message) => {
    using b2 = await startB2();
    using b1 = startB1(b2.listener.address);
    await expect(b1.link.forward(bytes(), 5000, never)).rejects.toThrow(message);
    expect(b2.sent).toEqual([]);
  });
});

it.each([
  ['10S', 10_000],
  ['250m', 250],
  ['1M', 60_000],
  ['100u', 1],
  ['123456789m', undefined],
  ['-1m', undefined],
  [undefined, undefined],
])('grpc-timeout %s is %s ms', (header, ms) => expect(readTimeout(header)).toBe(ms));

it('the path is the descriptor’s', () => {
  expect(forwardPath).toBe('/coolify.broker.v1.BrokerPeer/Forward');
  expect(fromBinary(ForwardRequestSchema, new Uint8Array())).toMatchObject({ hostId: '' });
});
