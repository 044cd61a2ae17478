import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  BuildRequestSchema,
  type HostedBuild,
  HostedBuild_State,
  HostedBuildSchema,
  type Response,
  ResponseSchema,
  type ServerMsg,
} from '@coold/proto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Hold } from '../dispatch/pending.ts';
import type { HostStream } from '../hosts/hosts.ts';
import { rememberGiven } from './build-given.ts';
import { createNonces } from './build-nonce.ts';
import type { Poll } from './build-poll.ts';
import { type BuildOutcome, type Builds, createBuilds } from './builds.ts';

type Body = NonNullable<MessageInitShape<typeof ResponseSchema>['body']>;
const max = 5;
const graceMs = 900_000;
const ttlMs = 30_000;
const readMs = 3600_000;

/** A build on a host's disk, of one dispatch. */
interface Stored {
  nonce: string;
  finished: string | undefined;
  cancelled: boolean;
  /** When the host was told that it was read. */
  readAt: number | undefined;
}

/** The newest dispatch of an id. */
interface Dispatched {
  host: SimulatedHost;
  nonce: string;
  /** When its answer was first written whole to a caller. */
  readAt: number | undefined;
  gaveUp: boolean;
  removed: boolean;
  /** Its host has another build of that id. */
  refused: boolean;
  /** This broker has sent it, or its host has named it to this broker. */
  isKnown: boolean;
}

/** A host as its disk has it, behind a link that keeps order and loses what is under way when it drops. */
interface SimulatedHost {
  hostId: string;
  disk: Map<string, Stored>;
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
  const given = rememberGiven();
  const nonces = createNonces({ key: Buffer.alloc(32), believesUnsigned: false, now: () => time });
  let builds = startBroker();
  let dispatched = 0;
  const hosts = ['h0', 'h1', 'h2'].map(
    (hostId): SimulatedHost => ({ hostId, disk: new Map(), link: undefined, awaySince: 0 }),
  );
  let callers: Caller[] = [];
  const lies: string[] = [];
  const known = new Map<string, Dispatched>();
  /** Nonces by what became of their answers. */
  const read = new Set<string>();
  const mayGo = new Set<string>();

  function startBroker(): Builds {
    const hold = (requestId: string): Hold => {
      if (ids.has(requestId)) return { kind: 'in flight' };
      if (ids.size >= max) return { kind: 'full' };
      ids.add(requestId);
      return { kind: 'held', release: () => void ids.delete(requestId) };
    };
    const clock = { now: () => time, landedTtlMs: ttlMs, hostGraceMs: graceMs, landedMaxBytes: 250 };
    return createBuilds({ pending: { hold }, nonces, given, ...clock });
  }

  const answer = (host: SimulatedHost, requestId: string, body: Body) =>
    void host.link?.toBroker.push(create(ResponseSchema, { requestId, body }));
  const result = (digest: string, nonce: string): Body => ({
    case: 'build',
    value: { body: { case: 'ok', value: { digest } }, nonce },
  });
  const refuse = (host: SimulatedHost, requestId: string, code: number, nonce: string) =>
    answer(host, requestId, { case: 'error', value: { code, message: '', nonce } });

  /** What coold does with a command (docs/contract.md §7, and builds.proto). */
  function obey(host: SimulatedHost, { requestId, command }: ServerMsg): void {
    const build = host.disk.get(requestId);
    switch (command.case) {
      case 'build': {
        const { nonce } = command.value;
        if (build === undefined || build.readAt !== undefined) {
          host.disk.set(requestId, { nonce, finished: undefined, cancelled: false, readAt: undefined });
          return;
        }
        const about = known.get(requestId);
        if (about?.nonce === nonce) about.refused = true;
        refuse(host, requestId, 409, nonce);
        return;
      }
      case 'cancelBuild':
        if (build?.nonce === command.value.nonce) build.cancelled = true;
        return;
      case 'buildAck': {
        const { nonce, remove } = command.value;
        const isNewest = known.get(requestId)?.nonce === nonce;
        if (!remove) expect(read.has(nonce), 'told that it was read, and it was not').toBe(true);
        else if (isNewest) expect(mayGo.has(nonce), 'removed, and it is wanted still').toBe(true);
        if (build?.nonce !== nonce || build.finished === undefined) return;
        if (remove) host.disk.delete(requestId);
        else build.readAt ??= time;
        return;
      }
      case 'buildResult':
        if (build?.nonce !== command.value.nonce) refuse(host, requestId, 404, command.value.nonce);
        else if (build.finished !== undefined) answer(host, requestId, result(build.finished, build.nonce));
        return;
      default:
        throw new Error(`unexpected ${command.case}`);
    }
  }

  /** Its host has it, and no caller was told anything of it. */
  const isUnread = (requestId: string, { host, nonce, readAt, isKnown, gaveUp, removed }: Dispatched) =>
    host.disk.get(requestId)?.nonce === nonce && readAt === undefined && isKnown && !gaveUp && !removed;

  /** Hosts keep what was read for an hour, and what was not for a day. */
  function expire(): void {
    for (const { disk } of hosts)
      for (const [requestId, { readAt }] of disk)
        if (readAt !== undefined && time - readAt >= readMs) disk.delete(requestId);
    for (const { nonce, readAt } of known.values())
      if (readAt !== undefined && time - readAt >= readMs) mayGo.add(nonce);
  }

  const world = {
    connect(host: SimulatedHost, lies: HostedBuild[] = []): void {
      world.drop(host);
      const toHost: ServerMsg[] = [];
      const stream = {
        hostId: host.hostId,
        schemaMax: 2,
        send: message => toHost.push(message) > 0,
        sendOwed: message => void toHost.push(message),
      } as HostStream;
      host.link = { stream, toHost, toBroker: [] };
      const { RUNNING, FINISHED } = HostedBuild_State;
      const named = [...host.disk].map(([requestId, { finished, nonce, readAt }]): HostedBuild => {
        const state = finished === undefined ? RUNNING : FINISHED;
        return create(HostedBuildSchema, { requestId, state, nonce, wasRead: readAt !== undefined });
      });
      expect(builds.connected(stream, [...named, ...lies]), 'claims that are refused').toBe(lies.length);
      for (const [requestId, about] of known)
        if (about.host === host && host.disk.get(requestId)?.nonce === about.nonce) about.isKnown = true;
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
      build.finished = `${requestId} of ${build.nonce}${build.cancelled ? ', cancelled' : ''}`;
      answer(host, requestId, result(build.finished, build.nonce));
    },
    dispatch(host: SimulatedHost, again: number | undefined): void {
      if (host.link === undefined) return;
      const old = again === undefined ? undefined : [...known].at(again % Math.max(known.size, 1));
      const requestId = old?.[0] ?? `b${dispatched}`;
      dispatched += 1;
      const wasInFlight = builds.isInFlight(requestId);
      if (old !== undefined && isUnread(...old))
        expect(wasInFlight, `${requestId} is free, and nobody has read it`).toBe(true);
      const sent = builds.dispatch(requestId, host.link.stream, create(BuildRequestSchema));
      expect(wasInFlight).toBe(sent === 'in flight');
      if (sent === 'full') expect(ids.size).toBeGreaterThanOrEqual(max);
      if (sent !== 'sent') return;
      const { command } = host.link.toHost.findLast(message => message.command.case === 'build') ?? {};
      const nonce = command?.case === 'build' ? command.value.nonce : '';
      const state = { readAt: undefined, gaveUp: false, removed: false, refused: false, isKnown: true };
      known.set(requestId, { host, nonce, ...state });
    },
    poll(nth: number): void {
      const [requestId, about] = [...known].at(nth % Math.max(known.size, 1)) ?? [];
      if (requestId === undefined) return;
      const poll = builds.poll(requestId);
      if (about?.removed === true && !mayRestart) expect(poll, 'removed, and there').toBe('unknown');
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
      // Of a broker that has forgotten, and that the newest host has not come back to, no more can be asked.
      if (about === undefined || !about.isKnown) return;
      const isOnDisk = about.host.disk.get(caller.requestId)?.nonce === about.nonce;
      // Nor where the newest dispatch never reached its host: an earlier one, of a broker before, is all there is.
      if (mayRestart && !isOnDisk && about.readAt === undefined && !about.refused) return;
      const isThere = isOnDisk && !about.removed;
      if (isThere && (outcome.kind === 'unknown' || outcome.kind === 'lost'))
        lies.push(`${caller.requestId} is ${outcome.kind}, and its host has it`);
      if (outcome.kind !== 'answered') return;
      const { body } = outcome;
      if (about.refused && body.case === 'error' && body.value.code === 409) return;
      const digest =
        body.case === 'build' && body.value.body.case === 'ok' ? body.value.body.value.digest : '';
      if (digest.split(',')[0] !== `${caller.requestId} of ${about.nonce}`)
        lies.push(`${caller.requestId} of ${about.nonce}: ${body.case} ${digest}`);
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
        if (outcome?.kind === 'lost') about.gaveUp = true;
        if (outcome?.kind === 'answered') {
          const { body } = outcome;
          const nonce = body.case === 'build' ? body.value.nonce : about.nonce;
          read.add(nonce);
          if (nonce === about.nonce) about.readAt ??= time;
        }
        if (outcome?.kind === 'host gone') about.gaveUp = true;
      }
      caller.poll.close(how === 'written');
    },
    remove(nth: number): void {
      const [requestId, about] = [...known].at(nth % Math.max(known.size, 1)) ?? [];
      if (requestId === undefined || about === undefined) return;
      if (builds.remove(requestId) !== 'removed') return;
      about.removed = true;
      mayGo.add(about.nonce);
    },
    /** A host says that it has built what another has. Heard at once: a lie under way could become one of its own build. */
    lie(host: SimulatedHost, which: number): void {
      const [requestId, about] = [...known].at(which % Math.max(known.size, 1)) ?? [];
      if (requestId === undefined || about === undefined || about.host === host) return;
      if (host.link === undefined) return;
      const body = result('a lie', '');
      builds.hear(host.link.stream, create(ResponseSchema, { requestId, body }), 100);
      const state = HostedBuild_State.FINISHED;
      const claim = create(HostedBuildSchema, { requestId, state, nonce: about.nonce });
      if (host.disk.has(requestId)) return;
      world.connect(host, [claim]);
    },
    cancel(nth: number): void {
      const [requestId] = [...known].at(nth % Math.max(known.size, 1)) ?? [];
      if (requestId !== undefined) builds.cancel(requestId);
    },
    pass(ms: number): void {
      time += ms;
      expire();
      builds.tick();
    },
    /** All that the broker knew is gone, its callers with it; hosts dial anew. */
    restart(): void {
      if (!mayRestart) return;
      callers = [];
      ids = new Set();
      for (const about of known.values()) about.isKnown = false;
      for (const host of hosts) host.link = undefined;
      builds = startBroker();
    },
    invariants(): void {
      expect(lies).toEqual([]);
      const { waiting, landed, remembered } = builds.counts();
      expect(Math.min(waiting, landed, remembered)).toBeGreaterThanOrEqual(0);
      expect(ids.size).toBeLessThanOrEqual(max);
    },
    /** In the end all is well again: then every answer is there to be read, again too, and goes after its time. */
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
      for (const [requestId, about] of known) {
        const stored = about.host.disk.get(requestId);
        const isThere = stored?.nonce === about.nonce && stored.finished !== undefined && !about.removed;
        const poll = builds.poll(requestId);
        if (poll === 'unknown')
          expect(isThere, `${requestId}: an answer is there and is not given`).toBe(false);
        if (typeof poll === 'string') continue;
        const caller: Caller = { requestId, poll, heard: [], over: false };
        void poll.outcome.then(outcome => world.check(caller, outcome));
        flush();
        await Promise.resolve();
        expect(lies).toEqual([]);
        expect(caller.heard.map(({ kind }) => kind)).toEqual([
          isThere ? 'answered' : expect.stringMatching(/^(answered|lost|unknown)$/),
        ]);
        callers = [caller];
        world.leave(0, 'written');
        flush();
        expect(builds.isInFlight(requestId), `${requestId} was read`).toBe(false);
      }
      expect(ids.size, 'what was read does not count').toBe(0);
      world.pass(readMs);
      flush();
      for (const host of hosts) world.connect(host);
      flush();
      if (mayRestart) return;
      expect(builds.counts()).toEqual({ waiting: 0, landed: 0, remembered: 0 });
      expect(hosts.map(({ disk }) => disk.size)).toEqual([0, 0, 0]);
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
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('cancel' as const, 'remove' as const), nth }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('dispatch again' as const), nth, which: nth }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 10_000, ttlMs, graceMs, graceMs + ttlMs, readMs),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
);

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** The answer of a build that was read has made room for others; a caller asks for it again, and another dispatches its id anew. */
const readAgainAndDispatched: Step[] = [
  { do: 'dispatch', nth: 1 },
  { do: 'dispatch', nth: 2 },
  { do: 'deliver', nth: 2 },
  { do: 'dispatch', nth: 2 },
  { do: 'finish', nth: 2, which: 0 },
  { do: 'poll', nth: 0 },
  { do: 'deliver', nth: 1 },
  { do: 'finish', nth: 1, which: 0 },
  { do: 'deliver', nth: 2 },
  { do: 'deliver', nth: 1 },
  { do: 'finish', nth: 2, which: 0 },
  { do: 'leave', nth: 0, how: 'written' },
  { do: 'deliver', nth: 2 },
  { do: 'poll', nth: 0 },
  { do: 'dispatch again', nth: 0, which: 0 },
];

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
            case 'remove':
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
      { numRuns: 500, examples: [[readAgainAndDispatched]] },
    );
  },
  60_000,
);
