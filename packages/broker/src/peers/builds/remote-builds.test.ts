// Calls about builds at another broker, the two ends in one process, with real certificates.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BuildAnswerSchema, BuildAskSchema, peerBuildPath, type ServerMsg } from '@coold/proto';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openLanes, replyWith } from '../../../test/peer-lanes.ts';
import type { PeerLink } from '../link/peer-link.ts';
import type { BuildForwardOutcome } from './remote-builds.ts';
import { createRemoteBuilds } from './remote-builds.ts';

let lanes: Awaited<ReturnType<typeof openLanes>>;
beforeAll(async () => {
  lanes = await openLanes();
}, 60_000);
afterAll(() => lanes[Symbol.asyncDispose]());

const body = {
  host_id: 'h',
  request_id: 'b-1',
  command: {
    type: 'static_build',
    repo_url: 'https://a/b.git',
    git_ref: 'main',
    target_image: 'localhost/a:1',
  },
};

/** Broker b1, as it makes calls about builds at the brokers of these links. */
function setUp(links: Record<string, { link: PeerLink; address: string }>, timeoutMs = 5000) {
  const outcomes: BuildForwardOutcome[] = [];
  const away = createRemoteBuilds({
    brokerId: 'b1',
    timeoutMs,
    locate: () => ({ kind: 'nowhere' }),
    links: { to: ({ brokerId }) => links[brokerId]?.link ?? expect.fail(brokerId) },
    others: () => Object.entries(links).map(([brokerId, { address }]) => ({ brokerId, address })),
    count: outcome => void outcomes.push(outcome),
  });
  return { away, outcomes };
}
const place = { hostId: 'h', brokerId: 'b2', address: '127.0.0.1:1' };
const kinds = (sent: readonly ServerMsg[]) => sent.map(({ command }) => command.case);

describe('a broker of an older version', () => {
  it('is named, and not asked again where the build is', async () => {
    using old = await lanes.startFakePeer(stream => {
      stream.respond(
        { ':status': 200, 'grpc-status': '12', 'grpc-message': 'no such method' },
        { endStream: true },
      );
    });
    using b1 = lanes.startB1(old.address);
    const { away, outcomes } = setUp({ b2: { link: b1.link, address: old.address } });
    const refusal = {
      status: 503,
      envelope: {
        reason: 'host_elsewhere',
        message: expect.stringMatching(/^host h is connected to broker b2 .* older version: /),
      },
    };
    expect(await away.dispatch(place, 'b-1', body)).toMatchObject(refusal);
    expect(await away.cancel(place, 'b-1')).toMatchObject(refusal);
    expect(await away.result(place, 'b-1', 1000).reply).toMatchObject(refusal);
    expect(await away.find('b-2'), 'it has no say').toBe('unknown');
    expect(outcomes).toEqual(['failed', 'failed', 'failed']);
  });
});

describe('a broker that is asked', () => {
  it('takes a build that names another host than its own for one that has moved', async () => {
    using b2 = await lanes.startB2();
    using b1 = lanes.startB1(b2.listener.address);
    const { away } = setUp({ b2: { link: b1.link, address: b2.listener.address } });
    const elsewhere = { ...body, host_id: 'other' };
    expect(await away.dispatch({ ...place, hostId: 'other' }, 'b-1', elsewhere)).toMatchObject({
      status: 503,
      envelope: { reason: 'host_place_unknown', stage: 'dispatch' },
    });
    expect(kinds(b2.sent)).toEqual([]);
  });

  it('refuses a body that is not of the build that is named, and one without a host', async () => {
    using b2 = await lanes.startB2();
    using b1 = lanes.startB1(b2.listener.address);
    const { away } = setUp({ b2: { link: b1.link, address: b2.listener.address } });
    const { host_id: _, ...anywhere } = body;
    for (const [requestId, wrong] of [
      ['b-2', body],
      ['b-1', anywhere],
    ] as const)
      expect(await away.dispatch(place, requestId, wrong)).toMatchObject({
        status: 503,
        envelope: { message: expect.stringContaining('gRPC status 3: order.body') },
      });
    expect(kinds(b2.sent)).toEqual([]);
    expect(b2.taken).toEqual(['malformed', 'malformed']);
  });

  it.each([
    ['for another broker', { fromBrokerId: 'b1', toBrokerId: 'b9' }, 9],
    ['from itself', { fromBrokerId: 'b2', toBrokerId: 'b2' }, 9],
    ['under the id of another', { fromBrokerId: 'b3', toBrokerId: 'b2' }, 7],
  ])('does not take what is %s', async (_, ids, status) => {
    using b2 = await lanes.startB2();
    using b1 = lanes.startB1(b2.listener.address);
    const ended = Promise.withResolvers<Error | undefined>();
    const call = b1.link.stream(peerBuildPath, { message: () => {}, ended: ended.resolve });
    const ask = { case: 'cancel', value: {} } as const;
    call.write(toBinary(BuildAskSchema, create(BuildAskSchema, { ...ids, requestId: 'b-1', ask })), () => {});
    call.finish();
    expect((await ended.promise)?.message).toContain(`gRPC status ${status}: `);
  });
});

describe('an invalid answer of a broker', () => {
  const answer = (init: Parameters<typeof create<typeof BuildAnswerSchema>>[1]) =>
    toBinary(BuildAnswerSchema, create(BuildAnswerSchema, init));
  it.each([
    ['of another build', answer({ requestId: 'b-9', body: { case: 'done', value: {} } })],
    ['of a kind that is not known', answer({ requestId: 'b-1' })],
    ['that is no message', Uint8Array.of(0xff)],
    [
      'with a status that no broker has',
      answer({ requestId: 'b-1', body: { case: 'refusal', value: { status: 302, code: 500 } } }),
    ],
    ['with a place', answer({ requestId: 'b-1', body: { case: 'place', value: { hostId: 'h' } } })],
  ])('%s, is told as such', async (_, bytes) => {
    using odd = await lanes.startFakePeer(stream => replyWith(stream, bytes));
    using b1 = lanes.startB1(odd.address);
    const { away } = setUp({ b2: { link: b1.link, address: odd.address } });
    const failed = { status: 502, envelope: { reason: 'peer_failed' } };
    expect(await away.cancel(place, 'b-1')).toMatchObject(failed);
    expect(await away.result(place, 'b-1', 1000).reply).toMatchObject(failed);
  });

  it('a "done" to a poll is none', async () => {
    using odd = await lanes.startFakePeer(stream =>
      replyWith(stream, answer({ requestId: 'b-1', body: { case: 'done', value: {} } })),
    );
    using b1 = lanes.startB1(odd.address);
    const { away } = setUp({ b2: { link: b1.link, address: odd.address } });
    expect(await away.result(place, 'b-1', 1000).reply).toMatchObject({ status: 502 });
  });
});

describe('a build that is looked for', () => {
  it('is not unknown as long as a broker has not said so', async () => {
    using b2 = await lanes.startB2();
    using mute = await lanes.startFakePeer(() => {});
    using toB2 = lanes.startB1(b2.listener.address);
    using toMute = lanes.startB1(mute.address);
    const { away } = setUp({
      b2: { link: toB2.link, address: b2.listener.address },
      mute: { link: toMute.link, address: mute.address },
    });
    expect(await away.find('b-1')).toMatchObject({
      code: 503,
      reason: 'host_place_unknown',
      message: expect.stringContaining(`broker mute at ${mute.address} did not answer within 2000 ms`),
    });
  });
});

describe('a poll', () => {
  it('a wait whose caller leaves ends there too, and callers learn that the broker stops', async () => {
    let open = 0;
    using mute = await lanes.startFakePeer(stream => {
      open += 1;
      stream.once('close', () => {
        open -= 1;
      });
      stream.on('data', (frame: Buffer) => {
        expect(fromBinary(BuildAskSchema, frame.subarray(5)).ask.case).toBe('result');
      });
    });
    using b1 = lanes.startB1(mute.address);
    const { away, outcomes } = setUp({ b2: { link: b1.link, address: mute.address } });
    const [left, told] = [away.result(place, 'b-1', 60_000), away.result(place, 'b-1', 60_000)];
    await soon(() => expect(open).toBe(2));
    left.close(false);
    await soon(() => expect(open).toBe(1));
    away.stop();
    const stopping = { status: 503, envelope: { reason: 'broker_stopping' } };
    expect(await told.reply).toMatchObject(stopping);
    expect(await away.result(place, 'b-1', 60_000).reply).toMatchObject(stopping);
    told.close(true);
    await soon(() => expect(open).toBe(0));
    expect(outcomes).toEqual([]);
  });

  it('at a broker that hangs ends soon after its time', async () => {
    using mute = await lanes.startFakePeer(() => {});
    using b1 = lanes.startB1(mute.address);
    const { away } = setUp({ b2: { link: b1.link, address: mute.address } });
    expect(await away.result(place, 'b-1', 50).reply).toMatchObject({
      status: 503,
      envelope: { message: expect.stringContaining('did not answer within 1050 ms') },
    });
  });
});
