// Peers that are not there, fall silent, or answer as no broker does.
import { constants, type ServerHttp2Stream } from 'node:http2';
import { create, toBinary } from '@bufbuild/protobuf';
import { ForwardResponseSchema } from '@coold/proto';
import { layCable } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answered, openLanes, replyWith } from '../../../test/peer-lanes.ts';

let lanes: Awaited<ReturnType<typeof openLanes>>;
beforeAll(async () => {
  lanes = await openLanes();
}, 60_000);
afterAll(() => lanes[Symbol.asyncDispose]());

describe('a peer', () => {
  it('that is not reachable fails each call at once', async () => {
    const b2 = await lanes.startB2();
    b2.listener.close();
    using b1 = lanes.startB1(b2.listener.address);
    for (const id of ['r-1', 'r-2', 'r-3'])
      expect(await b1.ask(id)).toMatchObject({
        code: 503,
        message: expect.stringContaining('cannot be reached: connect ECONNREFUSED'),
      });
  });

  it('that takes no part in a handshake is given up', async () => {
    using b2 = await lanes.startB2();
    const [host = '', port = ''] = b2.listener.address.split(':');
    await using cable = await layCable({ host, port: Number(port) });
    cable.cut();
    using b1 = lanes.startB1(`127.0.0.1:${cable.port}`, { connectTimeoutMs: 100 });
    expect(await b1.ask('r')).toMatchObject({
      code: 503,
      message: expect.stringContaining('no connection within 100 ms'),
    });
  });

  it('that falls silent fails the waiting calls, and is dialled again', async () => {
    using b2 = await lanes.startB2();
    const [host = '', port = ''] = b2.listener.address.split(':');
    await using cable = await layCable({ host, port: Number(port) });
    using b1 = lanes.startB1(`127.0.0.1:${cable.port}`, { keepalive: { everyMs: 50, timeoutMs: 200 } });
    const asked = b1.ask('r-1');
    await soon(() => expect(b2.sent).toHaveLength(1));
    cable.cut();
    expect(await asked).toMatchObject({ code: 503, message: expect.stringContaining('answers no PING') });
    expect(b1.outcomes).toEqual(['broke off']);
    cable.heal();
    await soon(async () => expect(await b1.ask('r-2', { timeoutMs: 500 })).toMatchObject({ code: 504 }));
  });

  const response = (requestId: string, inner = requestId) =>
    toBinary(
      ForwardResponseSchema,
      create(ForwardResponseSchema, { requestId, body: { case: 'response', value: answered(inner) } }),
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
    ['answers with bytes', 502, /unreadable answer/, stream => replyWith(stream, Uint8Array.of(0x0a, 0xff))],
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
    using peer = await lanes.startFakePeer(reply);
    using b1 = lanes.startB1(peer.address);
    expect(await b1.ask('r')).toMatchObject({
      kind: 'refused',
      code,
      message: expect.stringMatching(message),
    });
  });
});

describe('calls that a peer has certainly not handled', () => {
  it('is sent again', async () => {
    let calls = 0;
    using peer = await lanes.startFakePeer(stream => {
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
    using b1 = lanes.startB1(peer.address);
    expect(await b1.ask('r')).toMatchObject({ kind: 'answered' });
  });

  it('but not for ever', async () => {
    let calls = 0;
    using peer = await lanes.startFakePeer(stream => {
      calls += 1;
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
    });
    using b1 = lanes.startB1(peer.address);
    expect(await b1.ask('r')).toMatchObject({ kind: 'refused', code: 503 });
    expect(calls).toBe(2);
  });
});
