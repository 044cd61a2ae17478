import { setTimeout as delay } from 'node:timers/promises';
import { createBackoff, type Logger } from '@coold/runtime';
import { watchFolder } from './folder-watch.ts';
import { type Systemd, SystemdError } from './systemd.ts';
import type { UnitState } from './unit-state.ts';
import type { WorkFolders } from './work-folder.ts';

/** Waits for what units do: by the files their builders write, and by asking systemd. All reject when coold stops. */
export interface UnitWatch {
  /** What systemd says; undefined: it does not. */
  ask(requestId: string): Promise<UnitState | undefined>;
  /** The same, asked until it does. */
  untilKnown(requestId: string, stop: AbortSignal): Promise<UnitState>;
  /** Resolves once the unit lives, with what `ran` says where that comes first; 'late' when nothing is seen of it. */
  untilStarted<T>(requestId: string, ran: Promise<T>, stop: AbortSignal): Promise<T | 'started' | 'late'>;
  /** Whether the folder tells how its build ended. */
  hasOutcome(requestId: string): Promise<boolean>;
  /** How the unit ended. */
  untilOver(requestId: string, stop: AbortSignal): Promise<UnitState>;
}

export interface UnitWatchOptions {
  folders: Pick<WorkFolders, 'pathOf' | 'read'>;
  systemd: Pick<Systemd, 'state' | 'kill'>;
  timeoutSecs: number;
  /** A unit that is not there after so many ms did not start. */
  startMs: number;
  /** Ms beyond a build's own time, until it is no longer believed to end by itself. */
  slackMs: number;
  log: Logger;
}

/** Times that systemd is asked in vain before a recorded outcome is taken without its word. */
const maxSilent = 3;

export function watchUnits(options: UnitWatchOptions): UnitWatch {
  const { folders, systemd, timeoutSecs, startMs, slackMs, log } = options;

  async function ask(requestId: string): Promise<UnitState | undefined> {
    try {
      return await systemd.state(requestId);
    } catch (error) {
      if (!(error instanceof SystemdError)) throw error;
      log.warn(
        { request_id: requestId, reason: error.message },
        'systemd does not say how a build is; asking again',
      );
      return undefined;
    }
  }

  async function untilKnown(requestId: string, stop: AbortSignal): Promise<UnitState> {
    for (const backoff = createBackoff({ firstMs: 200, maxMs: 5000 }); ; ) {
      const state = await ask(requestId);
      stop.throwIfAborted();
      if (state !== undefined) return state;
      await delay(backoff.next() + 20, undefined, { signal: stop });
    }
  }

  async function untilOver(requestId: string, stop: AbortSignal): Promise<UnitState> {
    using outcome = watchFolder(folders.pathOf(requestId), ['result.json', 'error.json']);
    const backoff = createBackoff({ firstMs: 200, maxMs: 5000 });
    const deadline = performance.now() + timeoutSecs * 1000 + slackMs;
    let silent = 0;
    for (let killed = false; ; ) {
      const state = await ask(requestId);
      stop.throwIfAborted();
      if (state !== undefined && state.kind !== 'active') return state;
      silent = state === undefined ? silent + 1 : 0;
      // What the builder has recorded is true whatever systemd has to add.
      if (silent >= maxSilent && (await hasOutcome(requestId))) return { kind: 'absent' };
      if (performance.now() >= deadline + (killed ? slackMs : 0)) {
        if (killed || state === undefined)
          return { kind: 'over', ending: { result: 'timeout', how: '', status: 0 } };
        killed = true;
        log.error({ request_id: requestId }, 'a build outlives its RuntimeMaxSec; killing it');
        await systemd.kill(requestId, 'SIGKILL').catch(() => false);
      }
      // A builder that has recorded its outcome is gone a moment later.
      await outcome.next(backoff.next() + 20, stop);
    }
  }

  async function untilStarted<T>(
    requestId: string,
    ran: Promise<T>,
    stop: AbortSignal,
  ): Promise<T | 'started' | 'late'> {
    using life = watchFolder(folders.pathOf(requestId), [
      'events.ndjson',
      'scratch',
      'result.json',
      'error.json',
    ]);
    const deadline = performance.now() + startMs;
    while (performance.now() < deadline) {
      // Whatever the builder writes first shows that it lives; a unit without one ends, which `ran` shows.
      const sign = life.next(startMs, stop).then(() => 'sign' as const);
      const first = await Promise.race([ran, sign]);
      stop.throwIfAborted();
      if (first !== 'sign') return first;
      if ((await ask(requestId))?.kind === 'active') return 'started';
    }
    return 'late';
  }

  async function hasOutcome(requestId: string): Promise<boolean> {
    const found = await folders.read(requestId).catch(() => undefined);
    return found?.outcome !== undefined;
  }

  return { ask, untilKnown, untilStarted, untilOver, hasOutcome };
}
