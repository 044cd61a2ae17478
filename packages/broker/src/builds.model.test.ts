import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type HostedBuild,
  HostedBuild_State,
  HostedBuildSchema,
  type Response,
  ResponseSchema,
  type ServerMsg,
  ServerMsgSchema,
} from '@coold/proto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Poll } from './build-poll.ts';
import { type BuildOutcome, type Builds, createBuilds } from './builds.ts';
import type { HostStream } from './hosts.ts';
import type { Hold } from './pending.ts';

type Body = NonNullable<MessageInitShape<typeof ResponseSchema>['body']>;
const max = 5;
const graceMs = 900_000;
const ttlMs = 30_000;

/** A host as its disk has it, behind a link that keeps order and loses what is under way when it drops. */
interface SimulatedHost {
  hostId: string;
  disk: Map<string, { finished: string | undefined; cancelled: boolean }>;
  link: { stream: HostStream; toHost: ServerMsg[]; toBroker: Response[] } | undefined;
  awaySince: number;
}

interface Caller {
  requestId: string;
  poll: Poll;
  heard: BuildOutcome[];
  over: boolean;
}

/** The broker's builds between callers and hosts that are all simulated, and everything that must hold of them. */
function createWorld(mayRestart: boolean) {
  let time = 0;
  let ids = new Set<string>();
  let builds = startBroker();
  let dispatched = 0;
  const hosts = ['h0', 'h1', 'h2'].map(
    (hostId): SimulatedHost => ({ hostId, disk: new Map(), link: undefined, awaySince: 0 }),
  );
  let callers: Caller[] = [];
  const lies: string[] = [];
  /** By id: the host that its newest dispatch went to, and whether its answer was read from this broker. */
  const known = new Map<string, { host: SimulatedHost; read: boolean; gaveUp: boolean }>();

  function startBroker(): Builds {
    const hold = (requestId: string): Hold => {
      if (ids.has(requestId)) return { kind: 'in flight' };
      if (ids.size >= max) return { kind: 'full' };
      ids.add(requestId);
      return { kind: 'held', release: () => void ids.delete(requestId) };
    };
    const clock = { now: () => time, landedTtlMs: ttlMs, hostGraceMs: graceMs, landedMaxBytes: 250 };
    return createBuilds({ pending: { hold }, ...clock });
  }

  const answer = (host: SimulatedHost, requestId: string, body: Body) =>
    void host.link?.toBroker.push(create(ResponseSchema, { requestId, body }));
  const result = (digest: string): Body => ({
    case: 'build',
    value: { body: { case: 'ok', value: { digest } } },
  });

  /** What coold does with a command (docs/contract.md §7, and builds.proto). */
  function obey(host: SimulatedHost, { requestId, command }: ServerMsg): void {
    const build = host.disk.get(requestId);
    switch (command.case) {
      case 'build':
        if (build !== undefined)
          answer(host, requestId, { case: 'error', value: { code: 409, message: '' } });
        else host.disk.set(requestId, { finished: undefined, cancelled: false });
        return;
      case 'cancelBuild':
        if (build !== undefined) build.cancelled = true;
        return;
      case 'buildAck':
        expect(known.get(requestId)?.host !== host || known.get(requestId)?.read, 'unread').toBe(true);
        if (build?.finished !== undefined) host.disk.delete(requestId);
        return;
      case 'buildResult':
        if (build === undefined)
          answer(host, requestId, { case: 'error', value: { code: 404, message: '' } });
        else if (build.finished !== undefined) answer(host, requestId, result(build.finished));
        return;
      default:
        throw new Error(`unexpected ${command.case}`);
    }
  }

  const world = {
    connect(host: SimulatedHost): void {
      world.drop(host);
      const toHost: ServerMsg[] = [];
      const stream = {
        ...{ hostId: host.hostId, schemaMax: 2 },
        send: message => toHost.push(message) > 0,
        sendOwed: message => void toHost.push(message),
      } as HostStream;
      host.link = { stream, toHost, toBroker: [] };
      const { RUNNING, FINISHED } = HostedBuild_State;
      const named = [...host.disk].map(
        ([requestId, { finished }]): HostedBuild =>
          create(HostedBuildSchema, { requestId, state: finished === undefined ? RUNNING : FINISHED }),
      );
      builds.connected(stream, named);
    },
    drop(host: SimulatedHost): void {
      const { link } = host;
      if (link === undefined) return;
      host.link = undefined;
      host.awaySince = time;
      builds.disconnected(link.stream);
    },
    deliver(host: SimulatedHost): void {
      const { link } = host;
      const command = link?.toHost.shift();
      if (command !== undefined) obey(host, command);
      const response = link?.toBroker.shift();
      if (link !== undefined && response !== undefined) builds.hear(link.stream, response, 100);
    },
    finish(host: SimulatedHost, nth: number): void {
      const running = [...host.disk].filter(([, { finished }]) => finished === undefined);
      const [requestId, build] = running[nth % running.length] ?? [];
      if (requestId === undefined || build === undefined) return;
      build.finished = `${requestId} on ${host.hostId}${build.cancelled ? ', cancelled' : ''}`;
      answer(host, requestId, result(build.finished));
    },
    dispatch(host: SimulatedHost, again: number | undefined): void {
      if (host.link === undefined) return;
      const old = again === undefined ? undefined : [...known].at(again % Math.max(known.size, 1));
      // The same id twice on one host cannot be told apart by anyone, nor on two by a broker that knows of neither.
      if (old !== undefined && (mayRestart || old[1].host === host || !old[1].gaveUp)) return;
      const requestId = old?.[0] ?? `b${dispatched}`;
      dispatched += 1;
      const wasInFlight = builds.isInFlight(requestId);
      const message = create(ServerMsgSchema, { requestId, command: { case: 'build', value: {} } });
      const sent = builds.dispatch(requestId, host.link.stream, message);
      expect(wasInFlight).toBe(sent === 'in flight');
      if (sent === 'sent') known.set(requestId, { host, read: false, gaveUp: false });
      else if (sent === 'full') expect(ids.size).toBeGreaterThanOrEqual(max);
    },
    poll(nth: number): void {
      const [requestId, about] = [...known].at(nth % Math.max(known.size, 1)) ?? [];
      if (requestId === undefined) return;
      const poll = builds.poll(requestId);
      if (about?.read === true) expect(poll, 'an answer that was read is not given again').toBe('unknown');
      if (typeof poll === 'string') return;
      const caller: Caller = { requestId, poll, heard: [], over: false };
      void poll.outcome.then(outcome => world.check(caller, outcome));
      callers.push(caller);
    },
    /** Every answer is the one that the build's host has, and nothing else is ever said of a build that goes well. */
    check(caller: Caller, outcome: BuildOutcome): void {
      caller.heard.push(outcome);
      if (caller.heard.length > 1) lies.push(`${caller.requestId} was told twice`);
      const about = known.get(caller.requestId);
      const isThere = about?.host.disk.has(caller.requestId) === true && !about.read;
      if (isThere && (outcome.kind === 'unknown' || outcome.kind === 'lost'))
        lies.push(`${caller.requestId} is ${outcome.kind}, and its host has it`);
      if (outcome.kind !== 'answered') return;
      const { body } = outcome;
      const digest =
        body.case === 'build' && body.value.body.case === 'ok' ? body.value.body.value.digest : '';
      if (digest.split(',')[0] !== `${caller.requestId} on ${about?.host.hostId}`)
        lies.push(`${caller.requestId} on ${about?.host.hostId}: ${body.case} ${digest}`);
    },
    leave(nth: number, how: 'give up' | 'written' | 'broken off'): void {
      const caller = callers[nth % Math.max(callers.length, 1)];
      if (caller === undefined || caller.over) return;
      if (how === 'give up') {
        caller.poll.giveUp();
        return;
      }
      const [outcome] = caller.heard;
      // A reply can only be written when there is one.
      if (how === 'written' && outcome === undefined) return;
      caller.over = true;
      const about = known.get(caller.requestId);
      if (how === 'written' && about !== undefined) {
        if (outcome?.kind === 'answered' || outcome?.kind === 'lost') about.read = true;
        if (outcome?.kind === 'host gone') about.gaveUp = true;
      }
      caller.poll.close(how === 'written');
    },
    /** A host says that it has built what another has. Heard at once: a lie under way could become one of its own build. */
    lie(host: SimulatedHost, which: number): void {
      const [requestId, about] = [...known].at(which % Math.max(known.size, 1)) ?? [];
      if (requestId === undefined || about?.host === host || host.link === undefined) return;
      builds.hear(host.link.stream, create(ResponseSchema, { requestId, body: result('a lie') }), 100);
    },
    cancel(nth: number): void {
      const [requestId] = [...known].at(nth % Math.max(known.size, 1)) ?? [];
      if (requestId !== undefined) builds.cancel(requestId);
    },
    pass(ms: number): void {
      time += ms;
      builds.tick();
    },
    /** All that the broker knew is gone, its callers with it; hosts dial anew. */
    restart(): void {
      if (!mayRestart) return;
      callers = [];
      ids = new Set();
      // What its host was not told of before can be read a second time: the same answer.
      for (const [requestId, about] of known) about.read &&= !about.host.disk.has(requestId);
      for (const host of hosts) host.link = undefined;
      builds = startBroker();
    },
    invariants(): void {
      expect(lies).toEqual([]);
      const { waiting, landed, remembered } = builds.counts();
      expect(Math.min(waiting, landed, remembered)).toBeGreaterThanOrEqual(0);
      expect(ids.size).toBeLessThanOrEqual(max);
    },
    /** In the end all is well again: then every answer that nobody read is there to be read, once. */
    async settle(): Promise<void> {
      for (const host of hosts) world.connect(host);
      const flush = () => {
        while (hosts.some(({ link }) => (link?.toHost.length ?? 0) + (link?.toBroker.length ?? 0) > 0))
          for (const host of hosts) world.deliver(host);
      };
      flush();
      for (const host of hosts) for (const _ of host.disk) world.finish(host, 0);
      flush();
      await Promise.resolve();
      for (const [n, { requestId, heard, over }] of callers.entries()) {
        if (!over) expect(heard, `whoever waited for ${requestId}`).toHaveLength(1);
        world.leave(n, 'broken off');
      }
      for (const [requestId, { host, read }] of known) {
        const poll = builds.poll(requestId);
        const isThere = host.disk.get(requestId)?.finished !== undefined;
        if (read) expect(poll).toBe('unknown');
        if (poll === 'unknown')
          expect(isThere, `${requestId}: an answer is there and is not given`).toBe(false);
        if (typeof poll === 'string') continue;
        const caller: Caller = { requestId, poll, heard: [], over: false };
        void poll.outcome.then(outcome => world.check(caller, outcome));
        flush();
        await Promise.resolve();
        expect(lies).toEqual([]);
        expect(caller.heard.map(({ kind }) => kind)).toEqual([
          isThere ? 'answered' : expect.stringMatching(/^(lost|unknown)$/),
        ]);
        callers = [caller];
        world.leave(0, 'written');
        flush();
      }
      const left = hosts.flatMap(({ hostId, disk }) =>
        [...disk.keys()].filter(id => known.get(id)?.host.hostId === hostId && !known.get(id)?.read),
      );
      expect(left, 'what was not read').toEqual([]);
      world.pass(ttlMs);
      expect(builds.counts()).toEqual({ waiting: 0, landed: 0, remembered: 0 });
      expect(ids.size).toBe(0);
      // What was read and not acknowledged is, when its host names it.
      for (const host of hosts) world.connect(host);
      flush();
      if (!mayRestart) expect(hosts.map(({ disk }) => disk.size)).toEqual([0, 0, 0]);
    },
    host: (nth: number): SimulatedHost => hosts[nth % hosts.length] as SimulatedHost,
  };
  return world;
}

const nth = fc.nat(30);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('dispatch' as const), nth }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('deliver' as const), nth }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('finish' as const), nth, which: nth }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lie' as const), nth, which: nth }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('poll' as const), nth }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('leave' as const),
      nth,
      how: fc.constantFrom('give up' as const, 'written' as const, 'written' as const, 'broken off' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('connect' as const, 'drop' as const), nth }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), nth }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('dispatch again' as const), nth, which: nth }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 10_000, ttlMs, graceMs, graceMs + ttlMs),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
);

it.each([
  ['a broker that lives', false],
  ['a broker that is killed now and then', true],
])(
  '%s: whatever is lost in whatever order, every build gets one true answer',
  async (_, mayRestart) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 150, size: 'max' }), async steps => {
        const world = createWorld(mayRestart);
        for (const host of [0, 1, 2]) world.connect(world.host(host));
        for (const s of steps) {
          switch (s.do) {
            case 'dispatch':
              world.dispatch(world.host(s.nth), undefined);
              break;
            case 'dispatch again':
              world.dispatch(world.host(s.nth), s.which);
              break;
            case 'finish':
            case 'lie':
              world[s.do](world.host(s.nth), s.which);
              break;
            case 'leave':
              world.leave(s.nth, s.how);
              break;
            case 'pass':
              world.pass(s.ms);
              break;
            case 'restart':
              world.restart();
              break;
            case 'poll':
            case 'cancel':
              world[s.do](s.nth);
              break;
            default:
              world[s.do](world.host(s.nth));
          }
          await Promise.resolve();
          world.invariants();
        }
        await world.settle();
      }),
      { numRuns: 500 },
    );
  },
  60_000,
);
