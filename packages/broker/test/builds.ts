import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  BuildRequestSchema,
  BuildStack,
  type HostedBuild,
  type HostedBuild_State,
  HostedBuildSchema,
  ResponseSchema,
  type ServerMsg,
} from '@coold/proto';
import { rememberGiven } from '../src/builds/build-given.ts';
import { createNonces, type Nonces } from '../src/builds/build-nonce.ts';
import type { Poll } from '../src/builds/build-poll.ts';
import { type BuildOutcome, createBuilds } from '../src/builds/builds.ts';
import type { Hold, Pending } from '../src/dispatch/pending.ts';
import type { HostStream } from '../src/hosts/hosts.ts';

type Body = NonNullable<MessageInitShape<typeof ResponseSchema>['body']>;
const order = () => create(BuildRequestSchema, { stack: BuildStack.STATIC });
/** Nonces of a broker that has just made its key, and believes what hosts say. */
export const newNonces = () => createNonces({ key: Buffer.alloc(32), believesUnsigned: true });
/** The builds of a broker that has just started, with limits that no test reaches. */
export const newBuilds = (pending: Pick<Pending, 'hold'>, now = () => performance.now()) =>
  createBuilds({
    given: rememberGiven(),
    pending,
    nonces: newNonces(),
    landedTtlMs: 30_000,
    landedMaxBytes: 1 << 20,
    hostGraceMs: 900_000,
    now,
  });
export const named = (...builds: [string, HostedBuild_State, string?][]): HostedBuild[] =>
  builds.map(([requestId, state, nonce = '']) => create(HostedBuildSchema, { requestId, state, nonce }));
export const ok = (digest: string) =>
  ({ case: 'build', value: { body: { case: 'ok', value: { digest } } } }) as const satisfies Body;
export const failed = {
  case: 'build',
  value: { body: { case: 'err', value: { code: 500, message: 'failed', stage: 'builder' } } },
} as const satisfies Body;
export const error = (code: number, message = ''): Body => ({ case: 'error', value: { code, message } });

/** The builds of a broker, with hosts that say what a test has them say, and a clock of its own. */
export function setUp(max = 10, nonces: Nonces = newNonces(), given = rememberGiven()) {
  let time = 0;
  const ids = new Set<string>();
  const hold = (requestId: string): Hold => {
    if (ids.has(requestId)) return { kind: 'in flight' };
    if (ids.size >= max) return { kind: 'full' };
    ids.add(requestId);
    return { kind: 'held', release: () => void ids.delete(requestId) };
  };
  const options = { landedTtlMs: 30_000, landedMaxBytes: 1000, hostGraceMs: 900_000 };
  const builds = createBuilds({ pending: { hold }, nonces, given, now: () => time, ...options });
  const stream = (hostId = 'h', schemaMax = 2) => {
    const sent: ServerMsg[] = [];
    let reads = true;
    const host = {
      hostId,
      schemaMax,
      send: message => reads && sent.push(message) > 0,
      sendOwed: message => void sent.push(message),
    } as HostStream;
    let nonce = '';
    const told = () => sent.splice(0).map(word);
    /** That of the newest build it was given; what is read here is told no more. */
    const given = () => {
      for (const { command } of sent.splice(0)) if (command.case === 'build') nonce = command.value.nonce;
      return nonce;
    };
    const stopReading = () => {
      reads = false;
    };
    return { host, told, given, stopReading };
  };
  const poll = (requestId: string) => {
    const begun = builds.poll(requestId);
    if (typeof begun === 'string') throw new Error(begun);
    return watch(begun);
  };
  return {
    builds,
    ids,
    stream,
    poll,
    dispatch: (requestId: string, { host }: ReturnType<typeof stream>) =>
      builds.dispatch(requestId, host, order()),
    hear: ({ host }: ReturnType<typeof stream>, requestId: string, body: Body, bytes = 10) =>
      builds.hear(host, create(ResponseSchema, { requestId, body }), bytes),
    pass(ms: number) {
      time += ms;
      builds.tick();
    },
  };
}

function word({ requestId, command }: ServerMsg): string {
  const isRemoval = command.case === 'buildAck' && command.value.remove;
  return `${isRemoval ? 'remove' : command.case} ${requestId}`;
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
