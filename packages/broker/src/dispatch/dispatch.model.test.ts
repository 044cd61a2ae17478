// Hosts, dispatches and streams as they are wired in the broker, with no I/O and a clock of the test's, held against the
// reference step by step. Builds have a model of their own.
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { ClientMsgSchema, ResponseSchema, readVerbs, SCHEMA_MAX } from '@coold/proto';
import type { Logger } from '@coold/runtime';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { newNonces } from '../../test/builds.ts';
import { DispatchReference, type ReferenceCaller } from '../../test/dispatch-reference.ts';
import { handleStream } from '../agent/agent-service.ts';
import { createHostCounts } from '../agent/host-counts.ts';
import { rememberGiven } from '../builds/build-given.ts';
import { createBuilds } from '../builds/builds.ts';
import type { CallEvents } from '../grpc/agent-call.ts';
import { readFrame } from '../grpc/frames.ts';
import { createHosts } from '../hosts/hosts.ts';
import { compileRoutes } from '../hosts/router.ts';
import { createOpenStream } from '../streams/open-stream.ts';
import { createStreams } from '../streams/streams.ts';
import { createDispatch } from './dispatch.ts';
import { createPending } from './pending.ts';

const timing = { max: 5, timeoutMs: 10_000, landedTtlMs: 30_000, overdueTtlMs: 300_000 };
const drainMs = 3000;
const maxLanded = 1;
const routes = compileRoutes(readVerbs());
const ignore = () => {};
const log: Logger = {
  ...({ trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore } as unknown as Logger),
  child: () => log,
};
type Body = NonNullable<MessageInitShape<typeof ResponseSchema>['body']>;
const frame = (requestId: string, body: Body) => {
  const value = create(ResponseSchema, { requestId, body });
  return Buffer.from(
    toBinary(ClientMsgSchema, create(ClientMsgSchema, { payload: { case: 'response', value } })),
  );
};
const whole: Body = { case: 'listContainers', value: { containers: [{ id: 'c'.repeat(200) }] } };
const hello = Buffer.from(
  toBinary(
    ClientMsgSchema,
    create(ClientMsgSchema, {
      payload: { case: 'hello', value: { schemaMin: 1, schemaMax: SCHEMA_MAX, capabilities: ['coold'] } },
    }),
  ),
);
const idOf = (nth: number) => `r${nth}`;

interface Caller {
  id: string;
  host: number;
  heard: string[];
  expected: ReferenceCaller;
  left: boolean;
  leave(delivered: boolean): void;
}

function createWorld() {
  const hosts = createHosts();
  const pending = createPending({
    ...timing,
    landedMaxBytes: readFrame(frame(idOf(0), whole)).bytes * maxLanded,
  });
  const streams = createStreams({ pending, windowBytes: 1000, timeoutMs: timing.timeoutMs });
  const builds = createBuilds({
    given: rememberGiven(),
    pending,
    nonces: newNonces(),
    now: () => Date.now(),
    landedTtlMs: 1,
    landedMaxBytes: 1,
    hostGraceMs: 1,
  });
  const outcomes: string[] = [];
  const dispatch = createDispatch({
    hosts,
    pending,
    routes,
    record: ({ outcome }) => outcomes.push(outcome),
  });
  const openStream = createOpenStream({ hosts, streams, routes });
  const handle = handleStream({
    hosts,
    pending,
    streams,
    builds,
    log,
    counts: createHostCounts(),
    helloTimeoutMs: 1000,
    verify: async host => ({
      hostId: String(host),
      caps: ['coold'],
      tokenId: undefined,
      expiresAt: Number.POSITIVE_INFINITY,
    }),
  });
  const reference = new DispatchReference({ ...timing, maxLanded, drainMs });
  const calls: { events: CallEvents; host: number; cut(): void }[] = [];
  const callers: Caller[] = [];

  function connect(host: number): void {
    let over = false;
    const nth = calls.length;
    const close = () => {
      if (over) return;
      over = true;
      queueMicrotask(() => events.closed());
    };
    const events = handle({
      peer: 'test',
      takeAuthorization: () => `h${host}`,
      accept: ignore,
      get over() {
        return over;
      },
      write: (_bytes, taken) => taken(),
      end: close,
    });
    calls.push({ events, host, cut: close });
    events.message(hello);
    reference.connect(host, nth);
  }

  const command = (id: string, host: number, type: string) => ({
    request_id: id,
    host_id: `h${host}`,
    command: type === 'list_containers' ? { type } : { type, id: 'c' },
  });

  function ask(id: string, host: number): void {
    const heard: string[] = [];
    const { reply, ticket } = dispatch(command(id, host, 'list_containers'));
    void Promise.resolve(reply).then(({ status, envelope }) =>
      heard.push(
        envelope.status === 'ok' ? `${status} ${envelope.request_id}` : `${status} ${envelope.message}`,
      ),
    );
    const leave = (delivered: boolean) => (delivered ? ticket?.delivered() : ticket?.undelivered());
    callers.push({ id, host, heard, expected: reference.ask(id, host, 'dispatch'), left: false, leave });
  }

  function stream(id: string, host: number): void {
    const heard: string[] = [];
    const asked = openStream(command(id, host, 'containers.logs'));
    const expected = reference.ask(id, host, 'stream');
    if ('reply' in asked) {
      const { status, envelope } = asked.reply;
      heard.push(`refused ${status} ${envelope.status === 'error' ? envelope.message : ''}`);
      callers.push({ id, host, heard, expected, left: false, leave: ignore });
      return;
    }
    const { session } = asked;
    const read = () => {
      for (let news = session.next(); news !== undefined; news = session.next()) {
        if (news.kind === 'failed') heard.push(`failed ${news.failure.code} ${news.failure.message}`);
        else heard.push(news.kind);
      }
    };
    void session.opening.then(opening => {
      if (opening.kind === 'refused')
        heard.push(`refused ${opening.failure.code} ${opening.failure.message}`);
      else {
        heard.push('opened');
        session.onNews(read);
        read();
      }
    });
    callers.push({ id, host, heard, expected, left: false, leave: () => session.close() });
  }

  const world = {
    connect: (host: number) => (reference.isStopping() ? undefined : connect(host)),
    ask,
    stream,
    disconnect(nth: number, how: 'cut' | 'finish' | 'garble'): void {
      const call = calls[nth % calls.length];
      if (call === undefined) return;
      if (how === 'cut') call.cut();
      else if (how === 'finish') call.events.finished();
      else call.events.message(Buffer.from([0xff]));
      reference.disconnect(nth % calls.length);
    },
    say(by: Speaker, what: 'answer' | 'begin' | 'end'): void {
      const asked = 'recent' in by ? callers.at(-1 - by.recent) : undefined;
      const name = asked?.expected.name ?? ('id' in by ? by.id : idOf(0));
      const connection =
        'nth' in by ? by.nth % calls.length : calls.findLastIndex(call => call.host === asked?.host);
      const call = calls[connection];
      if (call === undefined) return;
      const bodies: Record<typeof what, Body> = {
        answer: whole,
        begin: { case: 'streamOpened', value: { credit: 10n } },
        end: { case: 'streamEnd', value: {} },
      };
      call.events.message(frame(name, bodies[what]));
      reference[what](connection, name);
    },
    leave(nth: number, delivered: boolean): void {
      const caller = callers[nth % callers.length];
      // The lane hears of a connection's end once, and a reply that is not there cannot have been written.
      if (caller === undefined || caller.left) return;
      const isWritten = delivered && caller.heard.length > 0;
      caller.left = true;
      caller.leave(isWritten);
      reference.leave(caller.expected, isWritten);
    },
    async pass(ms: number): Promise<void> {
      await vi.advanceTimersByTimeAsync(ms);
      reference.pass(ms);
    },
    stop(): void {
      if (reference.isStopping()) return;
      streams.stop();
      void pending.drain(drainMs);
      reference.stop();
    },
    check(): void {
      for (const { heard, expected } of callers) expect(heard).toEqual(expected.heard);
      expect({ ...pending.counts(), streams: streams.count(), hosts: hosts.list().length }).toEqual(
        reference.counts(),
      );
    },
    /** Everybody leaves, and all that waits for time has had it. */
    async settle(): Promise<void> {
      for (const nth of callers.keys()) world.leave(nth, true);
      for (const nth of calls.keys()) world.disconnect(nth, 'cut');
      await world.pass(timing.overdueTtlMs + timing.landedTtlMs + timing.timeoutMs);
      await world.pass(timing.overdueTtlMs);
      for (const nth of callers.keys()) world.leave(nth, true);
      world.check();
      for (const { heard, expected } of callers) expect(heard).toEqual(expected.heard);
      expect(pending.counts()).toEqual({ waiting: 0, landed: 0, overdue: 0 });
      expect(vi.getTimerCount()).toBe(0);
      expect([hosts.list().length, streams.count(), builds.counts().waiting]).toEqual([0, 0, 0]);
      // Each that was asked as a dispatch was counted once: those that were answered, and those that left before.
      expect(outcomes.length).toBe(callers.filter(({ expected }) => !isOfStream(expected)).length);
      if (reference.isStopping()) return;
      // What looks empty has room for as many as ever.
      connect(0);
      await flush();
      for (let n = 0; n < timing.max; n += 1) ask(`last-${n}`, 0);
      await flush();
      world.check();
      expect(pending.counts().waiting).toBe(timing.max);
      world.disconnect(calls.length - 1, 'cut');
      await flush();
      world.check();
      expect(vi.getTimerCount()).toBe(0);
    },
  };
  const isOfStream = (expected: ReferenceCaller) => streamed.has(expected);
  const streamed = new Set<ReferenceCaller>();
  return {
    ...world,
    callers,
    stream(id: string, host: number) {
      stream(id, host);
      const last = callers.at(-1);
      if (last !== undefined) streamed.add(last.expected);
    },
  };
}

/** Long enough for any chain of promises here. */
async function flush(): Promise<void> {
  for (let turn = 0; turn < 12; turn += 1) await Promise.resolve();
}

const id = fc.nat(6).map(idOf);
const host = fc.nat(2);
const nth = fc.nat(200);
/** As a rule the host that was lately asked, on the stream that it has; else any stream there ever was, of any id. */
type Speaker = { recent: number } | { nth: number; id: string };
const by: fc.Arbitrary<Speaker> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ recent: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ nth, id }) },
);
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('ask' as const), id, host }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('stream' as const), id, host }) },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('say' as const),
      by,
      what: fc.constantFrom('answer' as const, 'begin' as const, 'end' as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('connect' as const), host }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('disconnect' as const),
      nth,
      how: fc.constantFrom('cut' as const, 'finish' as const, 'garble' as const),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('leave' as const), nth, delivered: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 2999, 5000, 10_000, 29_999, 30_000, 290_000),
    }),
  },
);

const steps = fc.array(step, { minLength: 20, maxLength: 200, size: 'max' });
/** Half of the brokers are stopped on the way. */
const stopAt = fc.option(fc.nat(200), { freq: 2 });

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('every caller hears exactly what it should, once, whatever happens in whatever order; then nothing is left', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(steps, stopAt, async (steps, stopAt) => {
      const world = createWorld();
      for (const first of [0, 1, 2]) world.connect(first);
      await flush();
      for (const [n, s] of steps.entries()) {
        if (n === stopAt) world.stop();
        switch (s.do) {
          case 'ask':
          case 'stream':
            world[s.do](s.id, s.host);
            break;
          case 'say':
            world.say(s.by, s.what);
            break;
          case 'connect':
            world.connect(s.host);
            break;
          case 'disconnect':
            world.disconnect(s.nth, s.how);
            break;
          case 'leave':
            world.leave(s.nth, s.delivered);
            break;
          case 'pass':
            await world.pass(s.ms);
        }
        await flush();
        world.check();
      }
      for (const { heard } of world.callers) for (const what of heard) seen.add(what.replace(/ r\d$/, ''));
      await world.settle();
      vi.clearAllTimers();
    }),
    { numRuns: 150, seed: 8 },
  );
  // All that a caller can hear was heard, or this would prove little.
  expect(seen.size, [...seen].sort().join('\n')).toBe(20);
}, 120_000);
