import { X509Certificate } from 'node:crypto';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  ForwardRequestSchema,
  type ForwardResponse,
  ForwardResponseSchema,
  type Response,
  ResponseSchema,
  readVerbs,
  streamName,
} from '@coold/proto';
import { createAuthority, scratchFolder } from '@coold/testbed';
import { testLog } from '@coold/testbed/corrosion';
import { beforeAll, expect, it } from 'vitest';
import { oneHost } from '../../../test/peer-lanes.ts';
import { createPending } from '../../dispatch/pending.ts';
import type { AgentCall } from '../../grpc/agent-call.ts';
import { createStreams } from '../../streams/streams.ts';
import { serveStream } from './serve-stream.ts';

type Body = NonNullable<MessageInitShape<typeof ResponseSchema>['body']>;

let certificate: X509Certificate;
beforeAll(async () => {
  await using folder = await scratchFolder();
  const authority = await createAuthority(folder.path);
  certificate = new X509Certificate((await authority.issue('b1')).credentials.cert);
}, 60_000);

/** Begins a stream of host h for a broker that takes nothing of it: a fake, for a real connection takes some at first. */
function begin() {
  const { hosts, host, sent } = oneHost();
  const limits = { max: 10, timeoutMs: 5000, landedTtlMs: 1000, overdueTtlMs: 1000, landedMaxBytes: 1000 };
  const streams = createStreams({ pending: createPending(limits), windowBytes: 1024, timeoutMs: 5000 });
  const written: ForwardResponse[] = [];
  const call: AgentCall = {
    peer: 'test',
    over: false,
    takeAuthorization: () => undefined,
    accept() {},
    end() {},
    write: bytes => void written.push(fromBinary(ForwardResponseSchema, bytes)),
  };
  const relay = serveStream({
    brokerId: 'b2',
    checkSender: () => undefined,
    verbs: readVerbs(),
    hosts,
    streams,
    count: () => {},
    log: testLog(),
  });
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
  relay(call, { certificate, timeoutMs: undefined }).message(
    Buffer.from(toBinary(ForwardRequestSchema, request)),
  );
  const name = sent[0]?.requestId ?? expect.fail();
  const say = (body: Body) =>
    streams.hear(host, create(ResponseSchema, { requestId: name, body }) as Response);
  return { sent, written, say, streams };
}

it.each<[string, Body]>([
  ['credits', { case: 'streamCredit', value: { bytes: 1n } }],
  ['frames with nothing in them', { case: 'streamFrame', value: {} }],
])('a host that goes on with %s does not fill the memory', (_, body) => {
  const { sent, written, say, streams } = begin();
  expect(say({ case: 'streamOpened', value: { credit: 1n } })).toBe('heard');
  let said = 0;
  while (said < 100_000 && say(body) === 'heard') said += 1;
  expect(said).toBeLessThan(100_000);
  expect(sent.at(-1)?.command.case).toBe('streamCancel');
  expect(written.at(-1)?.body).toMatchObject({ case: 'refusal', value: { code: 502 } });
  expect(streams.count()).toBe(0);
});
