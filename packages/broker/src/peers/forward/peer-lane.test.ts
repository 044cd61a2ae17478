import { connect } from 'node:net';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ForwardRequestSchema, forwardPath, forwardStreamPath, streamName } from '@coold/proto';
import { layCable } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { never, openLanes, seldom } from '../../../test/peer-lanes.ts';
import type { Credentials } from '../link/credentials.ts';
import { readTimeout } from '../link/peer-listener.ts';

let lanes: Awaited<ReturnType<typeof openLanes>>;
beforeAll(async () => {
  lanes = await openLanes();
}, 60_000);
afterAll(() => lanes[Symbol.asyncDispose]());

describe('a forward', () => {
  it('brings the host’s answer, on one connection for all', async () => {
    using b2 = await lanes.startB2();
    using b1 = lanes.startB1(b2.listener.address);
    const asked = ['r-1', 'r-2', 'r-3'].map(id => b1.ask(id));
    await soon(() => expect(b2.sent).toHaveLength(3));
    for (const { requestId } of b2.sent) b2.answer(requestId);
    expect(await Promise.all(asked)).toMatchObject(
      ['r-1', 'r-2', 'r-3'].map(requestId => ({ kind: 'answered', response: { requestId } })),
    );
    await soon(() => expect(b2.pending.counts()).toEqual({ waiting: 0, landed: 0, overdue: 0 }));
    expect(b1.outcomes).toEqual(['answered', 'answered', 'answered']);
    expect(b2.taken).toEqual(['answered', 'answered', 'answered']);
  });

  it('of a host that moved between the look-up and the forward is a 503 that names both', async () => {
    using b2 = await lanes.startB2();
    using b1 = lanes.startB1(b2.listener.address);
    expect(await b1.ask('r', { hostId: 'gone' })).toMatchObject({
      kind: 'refused',
      code: 503,
      message: `host gone is connected to broker b2 at ${b2.listener.address}, which does not have it any more`,
    });
    expect(b1.outcomes).toEqual(['moved']);
  });

  it.each([
    ['at its cap', 503, 'broker at pending-dispatch capacity', 1],
    ['that has the id in flight', 409, 'request_id already in flight', 100],
  ])('to a broker %s brings its refusal', async (_, code, message, max) => {
    using b2 = await lanes.startB2({ max });
    using b1 = lanes.startB1(b2.listener.address);
    const first = b1.ask('r-1');
    await soon(() => expect(b2.sent).toHaveLength(1));
    expect(await b1.ask(code === 409 ? 'r-1' : 'r-2')).toMatchObject({ kind: 'refused', code, message });
    b2.answer('r-1');
    expect((await first).kind).toBe('answered');
  });

  it('waits as long as its caller, and the answer that comes later is for who asks again', async () => {
    using b2 = await lanes.startB2();
    using b1 = lanes.startB1(b2.listener.address);
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
    using b2 = await lanes.startB2();
    using b1 = lanes.startB1(b2.listener.address);
    const left = new AbortController();
    const asked = b1.ask('r', { signal: left.signal });
    await soon(() => expect(b2.pending.counts().waiting).toBe(1));
    left.abort();
    expect((await asked).kind).toBe('refused');
    expect(b1.outcomes).toEqual(['cancelled']);
    await soon(() => expect(b2.pending.counts()).toMatchObject({ waiting: 0, overdue: 1 }));
  });

  it('of a lost host fails at once', async () => {
    using b2 = await lanes.startB2();
    using b1 = lanes.startB1(b2.listener.address);
    const asked = b1.ask('r');
    await soon(() => expect(b2.sent).toHaveLength(1));
    b2.pending.disconnected(b2.host);
    expect(await asked).toMatchObject({ code: 503, message: 'host disconnected' });
  });

  it('that leads to another broker than was meant, or back, is refused', async () => {
    using b2 = await lanes.startB2();
    using b1 = lanes.startB1(b2.listener.address);
    expect(await b1.ask('r', { to: 'b9' })).toMatchObject({
      code: 503,
      message: expect.stringContaining('this is broker b2, not b9'),
    });
    using itself = lanes.startB1(b2.listener.address, { brokerId: 'b2' });
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
    ['a certificate of another CA', () => ({ ...lanes.strangers, ca: lanes.ours.b1.ca })],
    ['a certificate that has ended', () => lanes.ours.ended],
  ])('%s', async (_, credentials) => {
    using b2 = await lanes.startB2();
    using b1 = lanes.startB1(b2.listener.address, { credentials });
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
    using b2 = await lanes.startB2();
    using b1 = lanes.startB1(b2.listener.address, {
      credentials: () => ({ ca: lanes.ours.b1.ca }) as Credentials,
    });
    expect(await b1.ask('r')).toMatchObject({
      code: 503,
      message: expect.stringContaining('certificate required'),
    });
    expect(b2.sent).toEqual([]);
  });

  it('and a broker that another CA vouches for is sent nothing', async () => {
    using b2 = await lanes.startB2({ credentials: lanes.strangers });
    using b1 = lanes.startB1(b2.listener.address);
    expect(await b1.ask('r')).toMatchObject({
      code: 503,
      message: expect.stringContaining('cannot be reached'),
    });
    expect(b2.sent).toEqual([]);
  });

  it('new credentials count from the next connection on; calls under way continue', async () => {
    using b2 = await lanes.startB2();
    using b1 = lanes.startB1(b2.listener.address);
    const first = b1.ask('r-1');
    await soon(() => expect(b2.sent).toHaveLength(1));
    b2.listener.renew(lanes.strangers);
    b2.answer('r-1');
    expect((await first).kind).toBe('answered');
    await soon(async () =>
      expect(await b1.ask('r-2')).toMatchObject({
        code: 503,
        message: expect.stringContaining('cannot be reached'),
      }),
    );
    b2.listener.renew(lanes.ours.b2);
    await soon(async () => expect(await b1.ask('r-3', { timeoutMs: 20 })).toMatchObject({ code: 504 }));
  });
});

describe('a broker that is asked', () => {
  it('ends the stream of a broker that is cut off, and tells the host', async () => {
    using b2 = await lanes.startB2({ keepalive: { everyMs: 50, timeoutMs: 200 } });
    const port = Number(b2.listener.address.split(':')[1]);
    await using cable = await layCable({ host: '127.0.0.1', port });
    using b1 = lanes.startB1(`127.0.0.1:${cable.port}`, { keepalive: seldom });
    const call = b1.link.stream(forwardStreamPath, { message: () => {}, ended: () => {} });
    const request = create(ForwardRequestSchema, {
      fromBrokerId: 'b1',
      toBrokerId: 'b2',
      hostId: 'h',
      command: {
        requestId: streamName('r', 1),
        command: { case: 'containersLogs', value: { id: 'c' } },
        stream: { credit: 1000n },
      },
    });
    call.write(toBinary(ForwardRequestSchema, request), () => {});
    await soon(() => expect(b2.sent).toHaveLength(1));
    cable.cut();
    await soon(() => expect(b2.sent.at(-1)?.command.case).toBe('streamCancel'));
  });

  it('hears the others however many connect that have no certificate', async () => {
    using b2 = await lanes.startB2();
    const port = Number(b2.listener.address.split(':')[1]);
    const silent = Array.from({ length: 400 }, () => connect(port, '127.0.0.1').on('error', () => {}));
    using b1 = lanes.startB1(b2.listener.address);
    await soon(() => expect(silent.every(socket => !socket.connecting)).toBe(true));
    const asked = b1.ask('r');
    await soon(() => expect(b2.sent).toHaveLength(1));
    b2.answer('r');
    expect(await asked).toMatchObject({ kind: 'answered' });
    for (const socket of silent) socket.destroy();
  });
});

describe('a request', () => {
  const call = { listContainers: { case: 'listContainers', value: {} } } as const;
  const request = (over: object) =>
    toBinary(
      ForwardRequestSchema,
      create(ForwardRequestSchema, {
        fromBrokerId: 'b1',
        toBrokerId: 'b2',
        hostId: 'h',
        command: { requestId: 'r', command: call.listContainers },
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
      'with a command that is not a verb',
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
    using b2 = await lanes.startB2();
    using b1 = lanes.startB1(b2.listener.address);
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
