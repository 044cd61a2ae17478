import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  BuildStack,
  type HostedBuild,
  type HostedBuild_State,
  HostedBuildSchema,
  ResponseSchema,
  type ServerMsg,
  ServerMsgSchema,
} from '@coold/proto';
import type { Poll } from './build-poll.ts';
import { type BuildOutcome, createBuilds } from './builds.ts';
import type { HostStream } from './hosts.ts';
import type { Hold } from './pending.ts';

type Body = NonNullable<MessageInitShape<typeof ResponseSchema>['body']>;
const order = (requestId: string) =>
  create(ServerMsgSchema, { requestId, command: { case: 'build', value: { stack: BuildStack.STATIC } } });
export const named = (...builds: [string, HostedBuild_State][]): HostedBuild[] =>
  builds.map(([requestId, state]) => create(HostedBuildSchema, { requestId, state }));
export const ok = (digest: string): Body => ({
  case: 'build',
  value: { body: { case: 'ok', value: { digest } } },
});
export const error = (code: number, message = ''): Body => ({ case: 'error', value: { code, message } });

/** The builds of a broker, with hosts that say what a test has them say, and a clock of its own. */
export function setUp(max = 10) {
  let time = 0;
  const ids = new Set<string>();
  const hold = (requestId: string): Hold => {
    if (ids.has(requestId)) return { kind: 'in flight' };
    if (ids.size >= max) return { kind: 'full' };
    ids.add(requestId);
    return { kind: 'held', release: () => void ids.delete(requestId) };
  };
  const options = { landedTtlMs: 30_000, landedMaxBytes: 1000, hostGraceMs: 900_000 };
  const builds = createBuilds({ pending: { hold }, now: () => time, ...options });
  const stream = (hostId = 'h', schemaMax = 2) => {
    const sent: ServerMsg[] = [];
    let reads = true;
    const host = {
      ...{ hostId, schemaMax },
      send: message => reads && sent.push(message) > 0,
      sendOwed: message => void sent.push(message),
    } as HostStream;
    const told = () => sent.splice(0).map(({ requestId, command }) => `${command.case} ${requestId}`);
    const stopReading = () => {
      reads = false;
    };
    return { host, told, stopReading };
  };
  const poll = (requestId: string) => {
    const begun = builds.poll(requestId);
    if (typeof begun === 'string') throw new Error(begun);
    return watch(begun);
  };
  return {
    ...{ builds, ids, stream, poll },
    dispatch: (requestId: string, { host }: ReturnType<typeof stream>) =>
      builds.dispatch(requestId, host, order(requestId)),
    hear: ({ host }: ReturnType<typeof stream>, requestId: string, body: Body, bytes = 10) =>
      builds.hear(host, create(ResponseSchema, { requestId, body }), bytes),
    pass(ms: number) {
      time += ms;
      builds.tick();
    },
  };
}

/** A poll and what it was told so far, read without waiting. */
function watch(poll: Poll) {
  const heard: BuildOutcome[] = [];
  void poll.outcome.then(outcome => heard.push(outcome));
  return {
    ...poll,
    told: async () => {
      await Promise.resolve();
      return heard.map(outcome => {
        if (outcome.kind !== 'answered') return outcome.kind;
        const { body } = outcome;
        if (body.case === 'error') return `error ${body.value.code}`;
        return body.case === 'build' && body.value.body.case === 'ok' ? body.value.body.value.digest : '?';
      })[0];
    },
  };
}
