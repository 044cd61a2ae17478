import type { BuildableStack } from '@coold/builder-core';
import type { BuildOutcome } from './folder/build-outcome.ts';

/**
 * The state of a build on this host. Allowed transitions: queued → running, running → queued, queued → unread,
 * running → unread or read, unread → read.
 */
export type BuildState =
  /** The work folder is being created, or the build waits for a free place. Its unit was never started. */
  | { name: 'queued' }
  /** The build has a place: its unit is being started, runs, or its end is being recorded. */
  | { name: 'running' }
  /** The outcome is on the disk, and no broker has read it yet. It is kept for 24 hours (docs/contract.md §7). */
  | ({ name: 'unread' } & Finished)
  /** A broker has read the outcome. It is kept for another hour, and the request id is free for a new build. */
  | ({ name: 'read'; readAt: number } & Finished);

interface Finished {
  outcome: BuildOutcome;
  /** When the outcome was written, in ms since 1970. */
  changedAt: number;
}

export interface BuildOptions {
  requestId: string;
  /** The nonce of the dispatch, empty where it had none. */
  nonce: string;
  /** The stack, which decides the sandbox. undefined: this coold does not have the stack of an adopted build. */
  stack: BuildableStack | undefined;
  /** Resolves with whether the work folder was created. */
  created: Promise<boolean>;
}

/** One build with its state. Every change of state happens in a method of this class. */
export class Build {
  readonly requestId: string;
  readonly nonce: string;
  readonly stack: BuildableStack | undefined;
  readonly created: Promise<boolean>;
  /** Resolves when the build has finished, or was given up before its work folder existed. */
  readonly ended: Promise<void>;
  /** Whether a broker was sent the outcome. */
  isAnswered = false;
  readonly #end: () => void;
  #state: BuildState = { name: 'queued' };
  #isCancelled = false;

  constructor({ requestId, nonce, stack, created }: BuildOptions) {
    this.requestId = requestId;
    this.nonce = nonce;
    this.stack = stack;
    this.created = created;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = resolve;
  }

  get state(): BuildState {
    return this.#state;
  }

  /** Whether a cancel was requested, in whatever state. */
  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** The outcome with its times, undefined before the build has finished. */
  get finished(): (Finished & { readAt: number | undefined }) | undefined {
    const state = this.#state;
    if (state.name === 'queued' || state.name === 'running') return undefined;
    return { ...state, readAt: state.name === 'read' ? state.readAt : undefined };
  }

  /** queued → running: the build got a place. @throws Error in any other state */
  run(): void {
    this.#expect('queued');
    this.#state = { name: 'running' };
  }

  /** running → queued: the unit was never started, so the build waits for a place again. @throws Error in any other state */
  requeue(): void {
    this.#expect('running');
    this.#state = { name: 'queued' };
  }

  /**
   * queued or running → unread, or read when `readAt` is given. Resolves `ended`.
   *
   * @param at when the outcome was written, in ms since 1970
   * @param readAt when a broker first read the outcome of an adopted build, in ms since 1970
   * @throws Error when the build has finished already
   */
  finish(outcome: BuildOutcome, at: number, readAt?: number): void {
    this.#expect('queued', 'running');
    const finished = { outcome, changedAt: at };
    this.#state =
      readAt === undefined ? { name: 'unread', ...finished } : { name: 'read', ...finished, readAt };
    this.#end();
  }

  /** unread → read. Returns false in any other state, which then stays. @param at in ms since 1970 */
  markRead(at: number): boolean {
    if (this.#state.name !== 'unread') return false;
    this.#state = { ...this.#state, name: 'read', readAt: at };
    return true;
  }

  /** Records that a cancel was requested. Returns false when it was requested before. The state does not change. */
  requestCancel(): boolean {
    const isFirst = !this.#isCancelled;
    this.#isCancelled = true;
    return isFirst;
  }

  /** Resolves `ended` for a build whose work folder could not be created. */
  abandon(): void {
    this.#end();
  }

  #expect(...names: BuildState['name'][]): void {
    if (!names.includes(this.#state.name))
      throw new Error(`build ${this.requestId} is ${this.#state.name}: expected ${names.join(' or ')}`);
  }
}
