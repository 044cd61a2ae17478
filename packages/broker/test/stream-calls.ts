import { StreamFrame_Source } from '@coold/proto';
import { streamedCall } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { expect } from 'vitest';
import type { startLane } from './lane.ts';

export type Lane = Awaited<ReturnType<typeof startLane>>;
const { STDOUT } = StreamFrame_Source;
export const follow = { type: 'containers.logs', id: 'web', follow: true };
export const streamBody = (requestId: string, extra: object = {}) => ({
  host_id: 'h',
  request_id: requestId,
  command: follow,
  ...extra,
});

export function ask(lane: Lane, requestId: string, extra: object = {}) {
  return streamedCall({
    socketPath: lane.socketPath,
    path: '/v1/coold/stream',
    json: streamBody(requestId, extra),
  });
}

/** A stream that its host has opened, with so much credit for stdin. */
export async function open(lane: Lane, requestId: string, stdinCredit = 0n) {
  const call = ask(lane, requestId);
  await soon(() => expect(lane.streams.get(requestId)).toBeDefined());
  lane.say(requestId, { case: 'streamOpened', value: { credit: stdinCredit } });
  expect(await call.next()).toEqual({ request_id: requestId, status: 'ok' });
  return call;
}

export const frame = (lane: Lane, requestId: string, data: string | Uint8Array, source = STDOUT) =>
  lane.say(requestId, { case: 'streamFrame', value: { source, data: Buffer.from(data) } });
export const sentKinds = (lane: Lane) => lane.sent.map(({ command }) => command.case);
export const refusal = async (call: ReturnType<typeof ask>) => [
  (await call.answered).status,
  await call.rest(),
];
