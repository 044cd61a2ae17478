import { setTimeout as delay } from 'node:timers/promises';
import { createBackoff, type Logger } from '@coold/runtime';
import { watchFolder } from '../folder/folder-watch.ts';
import type { WorkFolders } from '../folder/work-folder.ts';
import { type Systemd, SystemdError } from './systemd.ts';
import type { UnitState } from './unit-state.ts';

export interface UnitWatchOptions {
  folders: Pick<WorkFolders, 'pathOf' | 'read'>;
  systemd: Pick<Systemd, 'state' | 'kill'>;
  timeoutSecs: number;
  /** A unit that does not exist after this long, in ms, did not start. */
  startMs: number;
  /** How long after a build's own timeout, in ms, coold expects systemd to end the unit. */
  slackMs: number;
  log: Logger;
}

/** The number of unanswered calls after which a recorded outcome is accepted without systemd. */
const maxSilent = 3;

/** Waits for changes of units, by the files that their builders write and by asking systemd. All calls reject when coold stops. */
export class UnitWatch {
  readonly #options: UnitWatchOptions;

  constructor(options: UnitWatchOptions) {
    this.#options = options;
  }

  /** Returns the state of a unit, undefined when systemd does not answer. */
  async ask(requestId: string): Promise<UnitState | undefined> {
    const { systemd, log } = this.#options;
    try {
      return await systemd.state(requestId);
    } catch (error) {
      if (!(error instanceof SystemdError)) throw error;
      log.warn(
        { request_id: requestId, reason: error.message },
        'systemd does not answer about a build; asking again',
      );
      return undefined;
    }
  }

  /** Returns the state of a unit, and asks until systemd answers. */
  async untilKnown(requestId: string, stop: AbortSignal): Promise<UnitState> {
    for (const backoff = createBackoff({ firstMs: 200, maxMs: 5000 }); ; ) {
      const state = await this.ask(requestId);
      stop.throwIfAborted();
      if (state !== undefined) return state;
      await delay(backoff.next() + 20, undefined, { signal: stop });
    }
  }

  /** Waits for the end of the unit and returns its state. */
  async untilOver(requestId: string, stop: AbortSignal): Promise<UnitState> {
    const { folders, systemd, timeoutSecs, slackMs, log } = this.#options;
    using outcome = watchFolder(folders.pathOf(requestId), ['result.json', 'error.json']);
    const backoff = createBackoff({ firstMs: 200, maxMs: 5000 });
    const deadline = performance.now() + timeoutSecs * 1000 + slackMs;
    let silent = 0;
    for (let killed = false; ; ) {
      const state = await this.ask(requestId);
      stop.throwIfAborted();
      if (state !== undefined && state.kind !== 'active') return state;
      silent = state === undefined ? silent + 1 : 0;
      // A recorded outcome is valid even if systemd never answers.
      if (silent >= maxSilent && (await this.hasOutcome(requestId))) return { kind: 'absent' };
      if (performance.now() >= deadline + (killed ? slackMs : 0)) {
        if (killed || state === undefined)
          return { kind: 'over', ending: { result: 'timeout', how: '', status: 0 } };
        killed = true;
        log.error({ request_id: requestId }, 'a build runs longer than its RuntimeMaxSec; killing it');
        await systemd.kill(requestId, 'SIGKILL').catch(() => false);
      }
      // A builder ends a moment after it has recorded its outcome.
      await outcome.next(backoff.next() + 20, stop);
    }
  }

  /** Resolves with 'started' once the unit runs, with the result of `ran` when that comes first, with 'late' when neither comes in time. */
  async untilStarted<T>(
    requestId: string,
    ran: Promise<T>,
    stop: AbortSignal,
  ): Promise<T | 'started' | 'late'> {
    const { folders, startMs } = this.#options;
    using life = watchFolder(folders.pathOf(requestId), [
      'events.ndjson',
      'scratch',
      'result.json',
      'error.json',
    ]);
    const deadline = performance.now() + startMs;
    const ended = new AbortController();
    const onEnd = () => ended.abort();
    ran.then(onEnd, onEnd);
    const either = AbortSignal.any([stop, ended.signal]);
    while (performance.now() < deadline) {
      // The first file that the builder writes shows that it runs. If the builder never starts, `ran` settles.
      await life.next(startMs, either);
      stop.throwIfAborted();
      if (ended.signal.aborted) return await ran;
      if ((await this.ask(requestId))?.kind === 'active') return 'started';
    }
    return 'late';
  }

  /** Whether the work folder holds an outcome. */
  async hasOutcome(requestId: string): Promise<boolean> {
    const found = await this.#options.folders.read(requestId).catch(() => undefined);
    return found?.outcome !== undefined;
  }
}
