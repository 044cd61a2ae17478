import { create } from '@bufbuild/protobuf';
import { isBuildableStack } from '@coold/builder-core';
import { VerbError } from '@coold/errors';
import {
  BuildEventsRequestSchema,
  type BuildRequest,
  type HostedBuild,
  HostedBuild_State,
  HostedBuildSchema,
  type Response,
} from '@coold/proto';
import type { Logger } from '@coold/runtime';
import { type StreamForm, type StreamIo, streamForm } from '../handler.ts';
import { adopt, isExpired } from './adoption.ts';
import { readBuildOrder } from './build-order.ts';
import { Build, type BuildState } from './build-state.ts';
import type { Driver } from './driver.ts';
import { type BuildOutcome, failed, toResponse } from './folder/build-outcome.ts';
import { followEvents } from './folder/follow-events.ts';
import type { FoundFolder, WorkFolders } from './folder/work-folder.ts';
import { createPlaces, type Places } from './places.ts';
import type { UnitState } from './unit/unit-state.ts';

type Body = Response['body'];
type Answer = (requestId: string, body: Body) => Promise<void>;

/**
 * The builds of this host, by request id: queued, running, and finished with a result that is still kept
 * (docs/contract.md §7). The work folders are the source of truth; after a restart this table is rebuilt from them.
 */
export interface Builds {
  /**
   * Accepts a build. From the first moment on, `hosted` names it.
   *
   * @throws VerbError 400, 409, 501, 503, 507
   */
  take(requestId: string, message: BuildRequest): Promise<void>;
  /**
   * Cancels a build. Resolves once the cancel is under way, before the build has ended. Does nothing for a build that has
   * ended, is unknown, or has another nonce.
   */
  cancel(requestId: string, nonce?: string): Promise<void>;
  /**
   * Records that the result was read. From the first time on it is kept for an hour; with `remove` it is removed at once. Does
   * nothing for a build that is not finished or has another nonce (builds.proto).
   */
  acknowledge(requestId: string, options?: { nonce?: string; remove?: boolean }): Promise<void>;
  /** Returns the answer of a build, undefined while it is not finished. @throws VerbError 404, also for another nonce */
  result(requestId: string, nonce?: string): Body | undefined;
  /** Streams the progress of a build, from its first frame to its last. */
  events: StreamForm;
  /** Returns all builds for Hello, in the order in which they came: the broker may have forgotten them. */
  hosted(): HostedBuild[];
  /** Sends answers as builds finish, beginning with those that no broker was sent yet, until `gone` aborts. */
  attach(answer: Answer, gone: AbortSignal): void;
  /** Takes over the builds of an earlier coold. @throws Error when the work folders cannot be read */
  adopt(): Promise<void>;
  /** Removes results that have been kept long enough. */
  sweep(): Promise<void>;
}

export interface BuildsOptions {
  folders: WorkFolders;
  driver: Driver;
  /** Returns the states of all loaded units of builds, undefined when systemd does not answer. */
  unitStates(): Promise<ReadonlyMap<string, UnitState> | undefined>;
  capacity: number;
  /** Aborts when coold stops. Builds go on without coold. */
  stop: AbortSignal;
  log: Logger;
  maxQueued?: number;
  /** Returns the wall clock in ms since 1970: it is compared with times of files. */
  now?: () => number;
}

const defaultMaxQueued = 256;

/** Returns an empty table; `adopt` fills it. */
export function createBuilds(options: BuildsOptions): Builds {
  const table = new BuildTable(options);
  return {
    take: (requestId, message) => table.take(requestId, message),
    cancel: (requestId, nonce) => table.cancel(requestId, nonce),
    acknowledge: (requestId, how) => table.acknowledge(requestId, how),
    result: (requestId, nonce) => table.result(requestId, nonce),
    events: streamForm(BuildEventsRequestSchema, false, ({ buildId }, io) => table.writeEvents(buildId, io)),
    hosted: () => table.hosted(),
    attach: (answer, gone) => table.attach(answer, gone),
    adopt: () => table.adopt(),
    sweep: () => table.sweep(),
  };
}

class BuildTable {
  readonly #options: BuildsOptions;
  readonly #builds = new Map<string, Build>();
  readonly #places: Places;
  readonly #queueMessages: QueueMessages;
  /** Removals of work folders that have not ended, by request id. */
  readonly #removals = new Map<string, Promise<void>>();
  readonly #listeners = new Set<(build: Build) => void>();
  /** Whether the builds of an earlier coold are in the table. No build is accepted before. */
  #isAdopted = false;

  constructor(options: BuildsOptions) {
    this.#options = options;
    this.#places = createPlaces(options.capacity);
    this.#queueMessages = new QueueMessages(options.folders, options.capacity);
  }

  async take(requestId: string, message: BuildRequest): Promise<void> {
    const { folders, maxQueued = defaultMaxQueued, log } = this.#options;
    if (!this.#isAdopted)
      throw new VerbError('host_starting', 'this host is still looking at the builds it has');
    // Awaited only where there is one: the next Hello names the build from this very moment.
    const removal = this.#removals.get(requestId);
    if (removal !== undefined) await removal;
    const former = this.#builds.get(requestId);
    const isFree = former === undefined || former.state.name === 'read';
    if (!isFree) throw new VerbError('request_id_in_flight', 'this host has a build of that request_id');
    const { stack, request } = readBuildOrder(message);
    const { nonce } = message;
    if (this.#places.waiting().length >= maxQueued)
      throw new VerbError('host_busy', `this host has ${maxQueued} builds in its queue already`);
    const cleared = former === undefined ? undefined : this.#remove(requestId);
    const creation = Promise.resolve(cleared).then(() =>
      folders.create(requestId, request, this.#now(), nonce),
    );
    const created = creation.then(
      () => true,
      () => false,
    );
    const build = this.#add(new Build({ requestId, stack, nonce, created }));
    try {
      await creation;
    } catch (error) {
      this.#builds.delete(requestId);
      build.abandon();
      throw folderRefusal(error);
    }
    log.info({ request_id: requestId, stack, repo_url: withoutUser(message.repoUrl) }, 'build taken');
    if (build.isCancelled) return; // the call of `cancel` settles it
    this.#places.enter(requestId);
    this.#startNext();
  }

  async cancel(requestId: string, nonce = ''): Promise<void> {
    const { folders, driver, stop, log } = this.#options;
    const build = this.#find(requestId, nonce);
    if (build === undefined || build.finished !== undefined) {
      log.info({ request_id: requestId }, 'cancel of a build that has ended or is not here; nothing to do');
      return;
    }
    if (!build.requestCancel()) return; // the first call ends the build
    if (build.state.name === 'queued') this.#places.leave(requestId);
    if (!(await build.created)) return;
    await folders.markCancelled(requestId).catch((error: unknown) => {
      log.error(
        { request_id: requestId, err: error },
        'cannot record the cancel of a build; ending the build anyway',
      );
    });
    if (stop.aborted) return; // the next coold finds the marker
    if (build.state.name === 'queued') await this.#cancelQueued(build);
    else await driver.end(requestId, build.ended, stop);
  }

  async acknowledge(
    requestId: string,
    { nonce = '', remove = false }: { nonce?: string; remove?: boolean } = {},
  ): Promise<void> {
    const { folders, log } = this.#options;
    const build = this.#find(requestId, nonce);
    if (build?.finished === undefined) return;
    if (remove) return this.#remove(requestId);
    const readAt = this.#now();
    if (!build.markRead(readAt)) return;
    await folders.markRead(requestId, readAt).catch((error: unknown) => {
      log.warn({ request_id: requestId, err: error }, 'cannot record that the result of a build was read');
    });
  }

  result(requestId: string, nonce = ''): Body | undefined {
    const build = this.#find(requestId, nonce);
    if (build === undefined) throw new VerbError('request_id_unknown', 'no such build here');
    return answerOf(build);
  }

  async writeEvents(requestId: string, io: StreamIo): Promise<object> {
    const build = this.#builds.get(requestId);
    if (build === undefined) throw new VerbError('request_id_unknown', 'no such build here');
    await build.created;
    await io.opened();
    const folder = this.#options.folders.pathOf(requestId);
    for await (const data of followEvents(folder, build.ended, io.signal))
      await io.write({ stream: 'stdout', data });
    return {};
  }

  hosted(): HostedBuild[] {
    return [...this.#builds.values()].map(({ requestId, nonce, state }) =>
      create(HostedBuildSchema, {
        requestId,
        nonce,
        state: stateInHello[state.name],
        wasRead: state.name === 'read',
      }),
    );
  }

  attach(answer: Answer, gone: AbortSignal): void {
    const listener = (build: Build) => {
      const body = answerOf(build);
      if (body === undefined) return;
      void answer(build.requestId, body).then(() => {
        build.isAnswered ||= !gone.aborted;
      });
    };
    this.#listeners.add(listener);
    gone.addEventListener('abort', () => this.#listeners.delete(listener), { once: true });
    for (const build of this.#builds.values()) if (!build.isAnswered) listener(build);
  }

  async adopt(): Promise<void> {
    const { folders, driver } = this.#options;
    const names = await folders.list();
    const states = names.length === 0 ? new Map<string, UnitState>() : await this.#options.unitStates();
    const found = await Promise.all(
      names.map(async requestId => ({ requestId, folder: await this.#read(requestId) })),
    );
    const since = (folder: FoundFolder | undefined) => folder?.queuedAt ?? folder?.changedAt ?? 0;
    found.sort((a, b) => since(a.folder) - since(b.folder));
    const work: Promise<unknown>[] = [];
    for (const { requestId, folder } of found) {
      if (folder === undefined || this.#builds.has(requestId)) continue;
      const state = states === undefined ? undefined : (states.get(requestId) ?? { kind: 'absent' });
      work.push(this.#adoptOne(requestId, folder, state));
    }
    for (const [requestId, state] of states ?? [])
      if (!names.includes(requestId)) work.push(driver.drop(requestId, state));
    await Promise.all(work);
    this.#isAdopted = true;
    this.#startNext();
  }

  async sweep(): Promise<void> {
    for (const { requestId, finished } of [...this.#builds.values()]) {
      if (finished === undefined || !isExpired(finished, this.#now())) continue;
      if (finished.readAt === undefined)
        this.#options.log.warn(
          { request_id: requestId },
          'no broker read the result of a build for 24 h; removing it',
        );
      await this.#remove(requestId);
    }
  }

  #now(): number {
    return (this.#options.now ?? Date.now)();
  }

  #add(build: Build): Build {
    this.#builds.set(build.requestId, build);
    return build;
  }

  /** Returns the build of this id and nonce. An empty nonce, of the call or of the build, matches any. */
  #find(requestId: string, nonce: string): Build | undefined {
    const build = this.#builds.get(requestId);
    const isOther = nonce !== '' && build !== undefined && build.nonce !== '' && build.nonce !== nonce;
    return isOther ? undefined : build;
  }

  #finish(build: Build, outcome: BuildOutcome, changedAt = this.#now(), readAt?: number): void {
    build.finish(outcome, changedAt, readAt);
    this.#places.leave(build.requestId);
    for (const listener of this.#listeners) listener(build);
    this.#startNext();
  }

  /** Gives free places to the next builds in the queue, and tells the others their place. */
  #startNext(): void {
    const { driver, stop } = this.#options;
    if (stop.aborted) return;
    for (const requestId of this.#places.admit()) {
      const build = this.#builds.get(requestId);
      if (build === undefined) continue;
      build.run();
      const { stack } = build;
      this.#drive(build, () =>
        stack === undefined
          ? driver.settle(requestId, { kind: 'absent' }, unknownStack)
          : driver.start(requestId, stack, stop),
      );
    }
    this.#queueMessages.write(this.#places);
  }

  /**
   * Runs `work`, which brings a build to its outcome, and finishes the build with it. When coold stops first, the next coold
   * goes on. 'waits' means that the unit was never started: the build goes back to the queue.
   */
  #drive(build: Build, work: () => Promise<BuildOutcome | 'waits'>): void {
    const { driver, stop, folders, log } = this.#options;
    void (async () => {
      try {
        await this.#queueMessages.written(build.requestId);
        if (stop.aborted) return;
        const outcome = await work();
        // The outcome is on the disk; the next coold answers with it.
        if (stop.aborted) return;
        if (outcome === 'waits') return this.#waitAgain(build);
        this.#finish(build, outcome);
        await driver.tidy(build.requestId);
      } catch (error) {
        if (stop.aborted) return;
        log.error({ request_id: build.requestId, err: error }, 'unhandled error while driving a build');
        await folders.forgetSecrets(build.requestId).catch(() => {}); // the disk fails altogether
        if (build.finished === undefined) this.#finish(build, failed(500, 'internal error', 'builder'));
      }
    })();
  }

  /** Puts a build that was never started back into the queue, behind those that wait. */
  #waitAgain(build: Build): void {
    const { requestId, isCancelled } = build;
    this.#places.leave(requestId);
    build.requeue();
    if (isCancelled) this.#drive(build, () => this.#options.driver.settle(requestId, { kind: 'absent' }));
    else this.#places.enter(requestId);
    this.#startNext();
  }

  async #cancelQueued(build: Build): Promise<void> {
    this.#drive(build, () => this.#options.driver.settle(build.requestId, { kind: 'absent' }));
    this.#queueMessages.write(this.#places);
    await build.ended;
  }

  /** Removes a build and its work folder. Never rejects. */
  #remove(requestId: string): Promise<void> {
    const { folders, log } = this.#options;
    this.#builds.delete(requestId);
    this.#queueMessages.forget(requestId);
    const removal = folders
      .remove(requestId)
      .catch((error: unknown) => {
        log.error(
          { request_id: requestId, err: error },
          'cannot remove a work folder; it stays until the next start',
        );
      })
      .finally(() => this.#removals.delete(requestId));
    this.#removals.set(requestId, removal);
    return removal;
  }

  async #read(requestId: string): Promise<FoundFolder | undefined> {
    const { folders, log } = this.#options;
    try {
      const found = await folders.read(requestId);
      if (found === undefined)
        log.warn(
          { path: folders.pathOf(requestId) },
          'ignoring a folder that is not the work folder of a build',
        );
      return found;
    } catch (error) {
      log.error({ request_id: requestId, err: error }, 'a work folder cannot be read; its build is lost');
      return undefined;
    }
  }

  #adoptOne(requestId: string, found: FoundFolder, state: UnitState | undefined): Promise<unknown> {
    const { folders, driver, stop, log } = this.#options;
    const named = found.request?.['stack'];
    const decision = adopt(found, state, this.#now());
    log.info(
      { request_id: requestId, decision, unit: state?.kind ?? 'unknown' },
      'adopting a build of an earlier coold',
    );
    const add = () =>
      this.#add(
        new Build({
          requestId,
          stack: isBuildableStack(named) ? named : undefined,
          nonce: found.nonce,
          created: Promise.resolve(true),
        }),
      );
    switch (decision) {
      case 'remove':
        return Promise.all([
          this.#remove(requestId),
          state?.kind === 'over' ? driver.drop(requestId, state) : undefined,
        ]);
      case 'queue':
        add();
        this.#places.enter(requestId);
        return Promise.resolve();
      case 'ask': {
        const build = add();
        build.run();
        this.#places.seat(requestId);
        this.#drive(build, () => driver.resume(requestId, stop));
        return Promise.resolve();
      }
      case 'conclude': {
        const build = add();
        return driver.settle(requestId, state ?? { kind: 'absent' }).then(outcome => {
          const changedAt = found.outcome === undefined ? this.#now() : found.changedAt;
          this.#finish(build, outcome, changedAt, found.readAt);
        });
      }
      case 'supervise': {
        const build = add();
        build.run();
        if (found.cancelled) build.requestCancel();
        this.#places.seat(requestId);
        if (state?.kind === 'active' && found.queuedAt !== undefined)
          void folders.markStarted(requestId).catch(() => {}); // the running unit shows the same
        this.#drive(build, () => driver.supervise(requestId, stop));
        if (found.cancelled) void driver.end(requestId, build.ended, stop);
        return Promise.resolve();
      }
    }
  }
}

/** Writes the place in the queue into the progress of builds that wait, whenever it changes. */
class QueueMessages {
  readonly #folders: Pick<WorkFolders, 'say'>;
  readonly #capacity: number;
  /** For each build its last message, and a promise that resolves when that is written. */
  readonly #last = new Map<string, { text: string; written: Promise<void> }>();

  constructor(folders: Pick<WorkFolders, 'say'>, capacity: number) {
    this.#folders = folders;
    this.#capacity = capacity;
  }

  write(places: Places): void {
    const waiting = places.waiting();
    for (const [at, requestId] of waiting.entries()) {
      const text = `place ${at + 1} of ${waiting.length} in the queue; ${places.running()} of ${this.#capacity} places taken`;
      const last = this.#last.get(requestId);
      if (last?.text === text) continue;
      const frame = { type: 'progress', stage: 'queued', log: text, percent: 0 };
      const before = last?.written ?? Promise.resolve();
      this.#last.set(requestId, { text, written: before.then(() => this.#folders.say(requestId, frame)) });
    }
  }

  /** Resolves when all messages of a build are written: its builder writes to the same file. */
  async written(requestId: string): Promise<void> {
    await this.#last.get(requestId)?.written;
  }

  forget(requestId: string): void {
    this.#last.delete(requestId);
  }
}

const stateInHello: Record<BuildState['name'], HostedBuild_State> = {
  queued: HostedBuild_State.QUEUED,
  running: HostedBuild_State.RUNNING,
  unread: HostedBuild_State.FINISHED,
  read: HostedBuild_State.FINISHED,
};

/** The outcome of a build that a newer coold accepted, with a stack that this one does not have. The sandbox of another stack may allow too much. */
const unknownStack = failed(501, 'this coold does not build the stack of this build', 'builder');

function answerOf({ finished, nonce }: Build): Body | undefined {
  return finished === undefined ? undefined : { case: 'build', value: toResponse(finished.outcome, nonce) };
}

/** Returns the error for a work folder that could not be created. */
export function folderRefusal(error: unknown): VerbError {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'EEXIST':
    case 'ENOTEMPTY':
      return new VerbError('request_id_in_flight', 'this host has a work folder of that request_id');
    case 'ENOSPC':
    case 'EDQUOT':
      return new VerbError('no_space', `no room for a work folder: ${message}`, { cause: error });
    default:
      return new VerbError('build_failed', `the work folder cannot be made: ${message}`, { cause: error });
  }
}

/** Replaces the user and password in the address of a repository, for logs: everything up to the last @ of the host part. */
export function withoutUser(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)?[^/]*@/i, '$1…@');
}
