import { create } from '@bufbuild/protobuf';
import { type BuildableStack, isBuildableStack } from '@coold/builder-core';
import {
  BuildEventsRequestSchema,
  type BuildRequest,
  type HostedBuild,
  HostedBuild_State,
  HostedBuildSchema,
  type Response,
} from '@coold/proto';
import type { Logger } from '@coold/runtime';
import { type StreamForm, streamForm } from '../api/handler.ts';
import { VerbError } from '../api/verb-error.ts';
import { adopt, isExpired } from './adoption.ts';
import { readBuildOrder } from './build-order.ts';
import { type BuildOutcome, failed, toResponse } from './build-outcome.ts';
import type { Driver } from './driver.ts';
import { folderRefusal } from './folder-refusal.ts';
import { followEvents } from './follow-events.ts';
import { createPlaces } from './places.ts';
import type { UnitState } from './unit-state.ts';
import { withoutUser } from './without-user.ts';
import type { FoundFolder, WorkFolders } from './work-folder.ts';

type Body = Response['body'];

/**
 * The builds of this host, by request id: queued, running, and finished with a result that is still kept
 * (docs/contract.md §7). The work folders are the truth; what is here is what a start reads back from them.
 */
export interface Builds {
  /** Takes a build; from here on it is named by `hosted`. @throws VerbError 400, 409, 501, 503, 507 */
  take(requestId: string, message: BuildRequest): Promise<void>;
  /**
   * Resolves when its end has been seen to, not when it has ended. Nothing for one that has ended, is not here, or was given
   * with another nonce.
   */
  cancel(requestId: string, nonce?: string): Promise<void>;
  /**
   * Its result was read: from the first time on it is kept for an hour, or removed at once. Nothing for one that still runs
   * or was given with another nonce (builds.proto).
   */
  acknowledge(requestId: string, options?: { nonce?: string; remove?: boolean }): Promise<void>;
  /** Its answer; undefined: it comes when it ends. @throws VerbError 404, also for one of another nonce */
  result(requestId: string, nonce?: string): Body | undefined;
  /** Its progress, from its first frame to its last. */
  events: StreamForm;
  /** For Hello: what the broker has to know when it has forgotten, in the order they came. */
  hosted(): HostedBuild[];
  /** Where answers go as builds end; those that none has taken yet go at once. The signal ends it. */
  attach(answer: (requestId: string, body: Body) => Promise<void>, gone: AbortSignal): void;
  /** Takes over what an earlier coold has left. @throws Error when the work folders cannot be read */
  adopt(): Promise<void>;
  /** Removes results whose time is over. */
  sweep(): Promise<void>;
}

export interface BuildsOptions {
  folders: WorkFolders;
  driver: Driver;
  /** What systemd says of the units that are loaded; undefined: it does not answer. */
  unitStates(): Promise<ReadonlyMap<string, UnitState> | undefined>;
  capacity: number;
  /** Aborts when coold stops: builds go on without it. */
  stop: AbortSignal;
  log: Logger;
  maxQueued?: number;
  /** The clock on the wall, since it is compared with files, in ms since 1970. */
  now?: () => number;
}

interface Build {
  requestId: string;
  /** Of its dispatch; empty where that had none. */
  nonce: string;
  /** Which sandbox it gets; undefined: an adopted one whose stack this coold does not build. */
  stack: BuildableStack | undefined;
  phase: 'queued' | 'running' | 'finished';
  cancelled: boolean;
  /** Its folder is there. */
  made: Promise<boolean>;
  /** What was last said of its place in the queue. */
  place: string;
  /** Lines that go into its events, one after the other. */
  saying: Promise<void>;
  ended: Promise<void>;
  end: () => void;
  outcome: BuildOutcome | undefined;
  changedAt: number;
  /** When its result was first read, in ms since 1970. */
  readAt: number | undefined;
  /** A broker was sent its answer. */
  told: boolean;
}

const defaultMaxQueued = 256;

export function createBuilds(options: BuildsOptions): Builds {
  const { folders, driver, unitStates, capacity, stop, log } = options;
  const { maxQueued = defaultMaxQueued, now = Date.now } = options;
  const builds = new Map<string, Build>();
  const places = createPlaces(capacity);
  const removals = new Map<string, Promise<void>>();
  const listeners = new Set<(build: Build) => void>();
  let adopted = false;

  function add(requestId: string, stack: Build['stack'], nonce: string, made: Promise<boolean>): Build {
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const state = { phase: 'queued', cancelled: false, place: '', told: false } as const;
    const build: Build = {
      ...{ requestId, stack, nonce, made, ...state, outcome: undefined, changedAt: now(), readAt: undefined },
      ...{ saying: Promise.resolve(), ended, end },
    };
    builds.set(requestId, build);
    return build;
  }

  function finish(build: Build, outcome: BuildOutcome, changedAt = now()): void {
    build.phase = 'finished';
    build.outcome = outcome;
    build.changedAt = changedAt;
    places.leave(build.requestId);
    build.end();
    for (const listener of listeners) listener(build);
    seat();
  }

  /** Drives a build to its end, unless coold stops first: then the next one does. */
  function drive(build: Build, work: () => Promise<BuildOutcome | 'waits'>): void {
    void (async () => {
      try {
        await build.saying;
        if (stop.aborted) return;
        const outcome = await work();
        // It is on the disk, and the next coold's to tell.
        if (stop.aborted) return;
        if (outcome === 'waits') return waitAgain(build);
        finish(build, outcome);
        await driver.tidy(build.requestId);
      } catch (error) {
        if (stop.aborted) return;
        log.error({ request_id: build.requestId, err: error }, 'a build failed in a way it should not');
        await folders.forgetSecrets(build.requestId).catch(() => {}); // a disk that fails altogether
        finish(build, failed(500, 'internal error', 'builder'));
      }
    })();
  }

  /** It has a place, and was never started: others may come first. */
  function waitAgain(build: Build): void {
    const { requestId, cancelled } = build;
    places.leave(requestId);
    build.phase = 'queued';
    if (cancelled) drive(build, () => driver.settle(requestId, { kind: 'absent' }));
    else places.enter(requestId);
    seat();
  }

  function seat(): void {
    if (stop.aborted) return;
    for (const requestId of places.admit()) {
      const build = builds.get(requestId);
      if (build === undefined) continue;
      build.phase = 'running';
      const { stack } = build;
      drive(build, () =>
        stack === undefined
          ? driver.settle(requestId, { kind: 'absent' }, unknownStack)
          : driver.start(requestId, stack, stop),
      );
    }
    tellPlaces();
  }

  function tellPlaces(): void {
    const waiting = places.waiting();
    for (const [at, requestId] of waiting.entries()) {
      const build = builds.get(requestId);
      const place = `place ${at + 1} of ${waiting.length} in the queue; ${places.running()} of ${capacity} places taken`;
      if (build === undefined || build.place === place) continue;
      build.place = place;
      const frame = { type: 'progress', stage: 'queued', log: place, percent: 0 };
      build.saying = build.saying.then(() => folders.say(requestId, frame));
    }
  }

  /** A build by its id, unless another dispatch of it is meant; an empty nonce means any. */
  function meant(requestId: string, nonce: string): Build | undefined {
    const build = builds.get(requestId);
    const isOther = nonce !== '' && build !== undefined && build.nonce !== '' && build.nonce !== nonce;
    return isOther ? undefined : build;
  }

  async function cancelQueued(build: Build): Promise<void> {
    drive(build, () => driver.settle(build.requestId, { kind: 'absent' }));
    tellPlaces();
    await build.ended;
  }

  function remove(requestId: string): Promise<void> {
    builds.delete(requestId);
    const removal = folders
      .remove(requestId)
      .catch((error: unknown) => {
        log.error({ request_id: requestId, err: error }, 'a work folder stays until the next start');
      })
      .finally(() => removals.delete(requestId));
    removals.set(requestId, removal);
    return removal;
  }

  async function read(requestId: string): Promise<FoundFolder | undefined> {
    try {
      const found = await folders.read(requestId);
      if (found === undefined)
        log.warn({ path: folders.pathOf(requestId) }, 'no folder of a build; it is left as it is');
      return found;
    } catch (error) {
      log.error({ request_id: requestId, err: error }, 'a work folder cannot be read; its build is lost');
      return undefined;
    }
  }

  function takeOver(requestId: string, found: FoundFolder, state: UnitState | undefined): Promise<unknown> {
    const named = found.request?.['stack'];
    const stack = isBuildableStack(named) ? named : undefined;
    const decision = adopt(found, state, now());
    log.info(
      { request_id: requestId, decision, unit: state?.kind ?? 'unknown' },
      'build of an earlier coold',
    );
    switch (decision) {
      case 'remove':
        return Promise.all([
          remove(requestId),
          state?.kind === 'over' ? driver.drop(requestId, state) : undefined,
        ]);
      case 'queue':
        add(requestId, stack, found.nonce, Promise.resolve(true));
        places.enter(requestId);
        return Promise.resolve();
      case 'ask': {
        const build = add(requestId, stack, found.nonce, Promise.resolve(true));
        build.phase = 'running';
        places.seat(requestId);
        drive(build, () => driver.resume(requestId, stop));
        return Promise.resolve();
      }
      case 'conclude': {
        const build = add(requestId, stack, found.nonce, Promise.resolve(true));
        build.readAt = found.readAt;
        return driver
          .settle(requestId, state ?? { kind: 'absent' })
          .then(outcome => finish(build, outcome, found.outcome === undefined ? now() : found.changedAt));
      }
      case 'supervise': {
        const build = add(requestId, stack, found.nonce, Promise.resolve(true));
        build.phase = 'running';
        build.cancelled = found.cancelled;
        places.seat(requestId);
        if (state?.kind === 'active' && found.queuedAt !== undefined)
          void folders.markStarted(requestId).catch(() => {}); // its unit says as much
        drive(build, () => driver.supervise(requestId, stop));
        if (found.cancelled) void driver.end(requestId, build.ended, stop);
        return Promise.resolve();
      }
    }
  }

  return {
    async take(requestId, message) {
      if (!adopted) throw new VerbError(503, 'this host is still looking at the builds it has');
      // Not without need: a build is named by the next Hello from this very moment.
      const removal = removals.get(requestId);
      if (removal !== undefined) await removal;
      const former = builds.get(requestId);
      const isSpent = former?.phase === 'finished' && former.readAt !== undefined;
      if (former !== undefined && !isSpent)
        throw new VerbError(409, 'this host has a build of that request_id');
      const { stack, request } = readBuildOrder(message);
      const { nonce } = message;
      if (places.waiting().length >= maxQueued)
        throw new VerbError(503, `this host has ${maxQueued} builds in its queue already`);
      // Its id was free again once it was read.
      const cleared = isSpent ? remove(requestId) : undefined;
      const creation = Promise.resolve(cleared).then(() => folders.create(requestId, request, now(), nonce));
      const made = creation.then(
        () => true,
        () => false,
      );
      const build = add(requestId, stack, nonce, made);
      try {
        await creation;
      } catch (error) {
        builds.delete(requestId);
        build.end();
        throw folderRefusal(error);
      }
      log.info({ request_id: requestId, stack, repo_url: withoutUser(message.repoUrl) }, 'build taken');
      if (build.cancelled) return; // who cancelled it sees to it
      places.enter(requestId);
      seat();
    },

    async cancel(requestId, nonce = '') {
      const build = meant(requestId, nonce);
      if (build === undefined || build.phase === 'finished') {
        log.info({ request_id: requestId }, 'cancel of a build that has ended or is not here; nothing to do');
        return;
      }
      if (build.cancelled) return; // the first one sees to it
      build.cancelled = true;
      if (build.phase === 'queued') places.leave(requestId);
      if (!(await build.made)) return;
      await folders.markCancelled(requestId).catch((error: unknown) => {
        log.error(
          { request_id: requestId, err: error },
          'a cancel cannot be written down; the build is ended all the same',
        );
      });
      if (stop.aborted) return; // the next coold finds the marker
      if (phaseOf(build) === 'queued') await cancelQueued(build);
      else await driver.end(requestId, build.ended, stop);
    },

    async acknowledge(requestId, { nonce = '', remove: isUnwanted = false } = {}) {
      const build = meant(requestId, nonce);
      if (build?.phase !== 'finished') return;
      if (isUnwanted) return remove(requestId);
      if (build.readAt !== undefined) return;
      build.readAt = now();
      await folders.markRead(requestId, build.readAt).catch((error: unknown) => {
        log.warn({ request_id: requestId, err: error }, 'cannot write down that a result was read');
      });
    },

    result(requestId, nonce = '') {
      const build = meant(requestId, nonce);
      if (build === undefined) throw new VerbError(404, 'no such build here');
      return answerOf(build);
    },

    events: streamForm(BuildEventsRequestSchema, false, async ({ buildId }, io) => {
      const build = builds.get(buildId);
      if (build === undefined) throw new VerbError(404, 'no such build here');
      await build.made;
      await io.opened();
      const folder = folders.pathOf(buildId);
      for await (const data of followEvents(folder, build.ended, io.signal))
        await io.write({ stream: 'stdout', data });
      return {};
    }),

    hosted: () =>
      [...builds.values()].map(({ requestId, phase, nonce, readAt }) =>
        create(HostedBuildSchema, {
          ...{ requestId, nonce },
          ...{ state: hostedState[phase], wasRead: readAt !== undefined },
        }),
      ),

    attach(answer, gone) {
      const listener = (build: Build) => {
        const body = answerOf(build);
        if (body === undefined) return;
        void answer(build.requestId, body).then(() => {
          build.told ||= !gone.aborted;
        });
      };
      listeners.add(listener);
      gone.addEventListener('abort', () => listeners.delete(listener), { once: true });
      for (const build of builds.values()) if (!build.told) listener(build);
    },

    async adopt() {
      const names = await folders.list();
      const states = names.length === 0 ? new Map<string, UnitState>() : await unitStates();
      const found = await Promise.all(
        names.map(async requestId => ({ requestId, folder: await read(requestId) })),
      );
      const since = (folder: FoundFolder | undefined) => folder?.queuedAt ?? folder?.changedAt ?? 0;
      found.sort((a, b) => since(a.folder) - since(b.folder));
      const work: Promise<unknown>[] = [];
      for (const { requestId, folder } of found) {
        if (folder === undefined || builds.has(requestId)) continue;
        const state = states === undefined ? undefined : (states.get(requestId) ?? { kind: 'absent' });
        work.push(takeOver(requestId, folder, state));
      }
      for (const [requestId, state] of states ?? [])
        if (!names.includes(requestId)) work.push(driver.drop(requestId, state));
      await Promise.all(work);
      adopted = true;
      seat();
    },

    async sweep() {
      for (const { requestId, outcome, changedAt, readAt } of [...builds.values()])
        if (isExpired({ outcome, changedAt, readAt }, now())) {
          if (readAt === undefined)
            log.warn({ request_id: requestId }, 'nobody read the result of a build for 24 h; it is removed');
          await remove(requestId);
        }
    },
  };
}

const hostedState: Record<Build['phase'], HostedBuild_State> = {
  queued: HostedBuild_State.QUEUED,
  running: HostedBuild_State.RUNNING,
  finished: HostedBuild_State.FINISHED,
};

/** A newer coold took it, whose sandbox for that stack this one does not have: another stack's may be too wide. */
const unknownStack = failed(501, 'this coold does not build the stack of this build', 'builder');

/** As it is now: it changes while something is waited for. */
function phaseOf(build: Build): Build['phase'] {
  return build.phase;
}

function answerOf({ outcome, nonce }: Build): Body | undefined {
  return outcome === undefined ? undefined : { case: 'build', value: toResponse(outcome, nonce) };
}
