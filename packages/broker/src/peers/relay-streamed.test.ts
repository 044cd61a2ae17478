import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { testLog } from '@coold/corrosion/testing';
import {
  ForwardRequestSchema,
  type ForwardResponse,
  ForwardResponseSchema,
  type Response,
  ResponseSchema,
  readVerbs,
  streamName,
} from '@coold/proto';
import { expect, it } from 'vitest';
import type { AgentCall } from '../agent-call.ts';
import { createPending } from '../pending.ts';
import { createStreams } from '../streams.ts';
import { oneHost } from './lane-testing.ts';
import { relayStreamed } from './relay-streamed.ts';

type Body = NonNullable<MessageInitShape<typeof ResponseSchema>['body']>;

/** Begins a stream of host h for a broker that takes nothing of it: a fake, for a real connection takes some at first. */
function begin() {
  const { hosts, host, sent } = oneHost();
  const limits = { max: 10, timeoutMs: 5000, landedTtlMs: 1000, overdueTtlMs: 1000, landedMaxBytes: 1000 };
  const streams = createStreams({ pending: createPending(limits), windowBytes: 1024, timeoutMs: 5000 });
  const written: ForwardResponse[] = [];
  const call: AgentCall = {
    ...{ peer: 'test', over: false, takeAuthorization: () => undefined, accept() {}, end() {} },
    write: bytes => void written.push(fromBinary(ForwardResponseSchema, bytes)),
  };
  const relay = relayStreamed({
    ...{ brokerId: 'b2', verbs: readVerbs(), hosts, streams },
    ...{ count: () => {}, log: testLog() },
  });
  const request = create(ForwardRequestSchema, {
    ...{ fromBrokerId: 'b1', toBrokerId: 'b2', hostId: 'h' },
    command: {
      requestId: streamName('r', 1),
      command: { case: 'containersLogs', value: { id: 'c' } },
      stream: { credit: 1000n },
    },
  });
  relay(call).message(Buffer.from(toBinary(ForwardRequestSchema, request)));
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
