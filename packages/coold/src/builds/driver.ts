import { setTimeout as delay } from 'node:timers/promises';
import { type BuildableStack, removeScratch } from '@coold/builder-core';
import type { Logger } from '@coold/runtime';
import { type BuildOutcome, failed } from './build-outcome.ts';
import { conclude } from './conclude.ts';
import type { BuildNetworks } from './network/build-networks.ts';
import type { BuildNetwork } from './network/cable.ts';
import { NetworkError } from './network/network-error.ts';
import { type Systemd, SystemdError } from './systemd.ts';
import type { BuilderConfig, BuildUnit } from './unit.ts';
import type { UnitState } from './unit-state.ts';
import { watchUnits } from './unit-watch.ts';
import type { FoundFolder, WorkFolders } from './work-folder.ts';

/**
 * Takes single builds from their work folder to their outcome, through their unit. Each call may be the one that goes on
 * where an earlier coold was killed. All reject when coold stops, and the build goes on without it.
 */
export interface Driver {
  /** Starts its unit and waits for the end. */
  start(requestId: string, stack: BuildableStack, stop: AbortSignal): Promise<BuildOutcome>;
  /** Waits for the end of a unit that an earlier coold has started. */
  supervise(requestId: string, stop: AbortSignal): Promise<BuildOutcome>;
  /** Whether a build that waited when an earlier coold ended was started since; then waits for its end. */
  resume(requestId: string, stop: AbortSignal): Promise<BuildOutcome | 'waits'>;
  /**
   * Says how a build ended whose unit is over, and makes that its outcome for good.
   *
   * @param otherwise what it is when the folder tells of nothing else
   */
  settle(requestId: string, state: UnitState, otherwise?: BuildOutcome): Promise<BuildOutcome>;
  /** Ends the unit of a build that was marked as cancelled; resolves when `ended` does, or when nothing helps. */
  end(requestId: string, ended: Promise<unknown>, stop: AbortSignal): Promise<void>;
  /** Ends or unloads a unit that has no work folder; best effort. */
  drop(requestId: string, state: UnitState): Promise<void>;
  /** What a builder that was killed left in the work folder beside its outcome; best effort. */
  tidy(requestId: string): Promise<void>;
}

export interface DriverOptions {
  folders: WorkFolders;
  systemd: Systemd;
  networks: Pick<BuildNetworks, 'prepare' | 'release'>;
  config: BuilderConfig;
  log: Logger;
  /** In ms. */
  times?: Partial<DriverTimes>;
}

interface DriverTimes {
  /** A unit that is not there after so long did not start. */
  start: number;
  /** Beyond a build's own time, until it is no longer believed to end by itself. */
  slack: number;
  /** What a build gets to stop in when it is cancelled; it needs 2 s (docs/contract.md §7). */
  grace: number;
}

interface Ran {
  code: number | null;
  said: string;
  /** There is no systemd-run: nothing was started. */
  isMissing?: boolean;
}

const defaultTimes: DriverTimes = { start: 10_000, slack: 60_000, grace: 10_000 };
const tidyMs = 120_000;

export function createDriver(options: DriverOptions): Driver {
  const { folders, systemd, networks, config, log, times = {} } = options;
  const { start: startMs, slack: slackMs, grace: graceMs } = { ...defaultTimes, ...times };
  const limits = { memoryMax: config.memoryMax, timeoutSecs: config.timeoutSecs };

  const { ask, untilKnown, untilStarted, untilOver, hasOutcome } = watchUnits({
    folders,
    systemd,
    timeoutSecs: config.timeoutSecs,
    startMs,
    slackMs,
    log,
  });

  async function markStarted(requestId: string): Promise<void> {
    await folders.markStarted(requestId).catch((error: unknown) => {
      // Its unit, or its outcome, will say as much.
      log.warn({ request_id: requestId, err: error }, 'cannot write down that a build was started');
    });
  }

  async function start(requestId: string, stack: BuildableStack, stop: AbortSignal): Promise<BuildOutcome> {
    stop.throwIfAborted();
    let network: BuildNetwork;
    try {
      network = await networks.prepare(requestId);
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      return settle(requestId, { kind: 'absent' }, unstarted(error.message));
    }
    try {
      return await run({ requestId, stack, workFolder: folders.pathOf(requestId), network, config }, stop);
    } finally {
      networks.release(requestId);
    }
  }

  async function run(unit: BuildUnit, stop: AbortSignal, again = false): Promise<BuildOutcome> {
    const { requestId } = unit;
    stop.throwIfAborted();
    const giveUp = new AbortController();
    const ran: Promise<Ran> = systemd
      .run(unit, AbortSignal.any([stop, giveUp.signal]))
      .catch((error: unknown): Ran => {
        if (!(error instanceof SystemdError)) throw error;
        return { code: null, said: error.message, isMissing: error.isMissing };
      });
    ran.catch(() => {}); // awaited below, unless coold stops first
    const begun = await untilStarted(requestId, ran, stop);
    if (begun === 'late') giveUp.abort();
    else if (begun === 'started') await markStarted(requestId);
    const { code, said, isMissing = false } = await ran;
    stop.throwIfAborted();
    const state: UnitState | undefined = isMissing ? { kind: 'absent' } : await ask(requestId);
    if (begun !== 'started' && state?.kind === 'active') await markStarted(requestId);
    if (begun !== 'started' && state?.kind === 'over' && isTaken(said) && !again) {
      await systemd.reset(requestId);
      return run(unit, stop, true);
    }
    if (code === 0 || said === '') return settle(requestId, await untilOver(requestId, stop));
    const over = state?.kind === 'absent' ? state : await untilOver(requestId, stop);
    // What comes before the builder has failed, as plugging its network in does: only systemd-run has said why.
    const neverRan = over.kind === 'absent' || (over.kind === 'over' && over.ending.how === '');
    if (!neverRan) return settle(requestId, over);
    const why = begun === 'late' ? `systemd-run did not start the build within ${startMs} ms` : said;
    return settle(requestId, over, unstarted(why));
  }

  async function settle(
    requestId: string,
    state: UnitState,
    otherwise?: BuildOutcome,
  ): Promise<BuildOutcome> {
    const ending = state.kind === 'over' ? state.ending : undefined;
    const found = await folders.read(requestId).catch((error: unknown) => error as Error);
    if (found instanceof Error) {
      log.error(
        { request_id: requestId, err: found },
        'a work folder cannot be read; its build counts as failed',
      );
      return failed(500, `the work folder cannot be read: ${found.message}`, 'builder');
    }
    const { outcome: recorded, cancelled = false } = found ?? {};
    const lastWords = recorded?.kind === 'err' ? await folders.lastWords(requestId).catch(() => '') : '';
    const plain = conclude({ recorded, cancelled, ending, lastWords, limits });
    const outcome = recorded === undefined && !cancelled && otherwise !== undefined ? otherwise : plain;
    log.info(
      {
        request_id: requestId,
        ...(outcome.kind === 'ok' ? { digest: outcome.ok.digest } : { ...outcome.err }),
        ...(ending === undefined ? {} : { unit: ending }),
      },
      outcome.kind === 'ok' ? 'build done' : 'build failed',
    );
    if (await persist(requestId, found, outcome)) {
      // Only now: until it is on the disk, systemd's word is all there is.
      if (ending !== undefined) await reset(requestId);
    }
    return outcome;
  }

  async function persist(
    requestId: string,
    found: FoundFolder | undefined,
    outcome: BuildOutcome,
  ): Promise<boolean> {
    if (found === undefined) return true;
    // Its builder has done so as it began, unless it never did.
    await folders.forgetSecrets(requestId).catch((error: unknown) => {
      log.error({ request_id: requestId, err: error }, 'a request keeps its credentials until it is removed');
    });
    if (JSON.stringify(found.outcome) !== JSON.stringify(outcome)) {
      const record = () => folders.record(requestId, outcome);
      try {
        await record().catch(async () => {
          await tidy(requestId); // makes room on a full disk
          await record();
        });
      } catch (error) {
        log.error(
          { request_id: requestId, err: error },
          "a build's outcome cannot be written; it is told as it is",
        );
        return false;
      }
      if (outcome.kind === 'err') await folders.say(requestId, { type: 'error', err: outcome.err });
    }
    if (found.queuedAt !== undefined) await markStarted(requestId);
    return true;
  }

  async function reset(requestId: string): Promise<void> {
    await systemd.reset(requestId).catch((error: unknown) => {
      log.warn({ request_id: requestId, err: error }, 'a failed unit stays loaded until the next start');
    });
  }

  async function tidy(requestId: string): Promise<void> {
    const left = await removeScratch(folders.pathOf(requestId), tidyMs).catch(
      (error: Error) => error.message,
    );
    if (left === undefined || left.includes('ENOENT')) return;
    log.warn({ request_id: requestId, reason: left }, 'what a build has left goes with its work folder');
  }

  async function supervise(requestId: string, stop: AbortSignal): Promise<BuildOutcome> {
    return settle(requestId, await untilOver(requestId, stop));
  }

  return {
    start,
    supervise,
    async resume(requestId, stop) {
      const { kind } = await untilKnown(requestId, stop);
      if (kind === 'absent' && !(await hasOutcome(requestId))) return 'waits';
      if (kind === 'active') await markStarted(requestId);
      return supervise(requestId, stop);
    },
    settle,
    async end(requestId, ended, stop) {
      const over = new AbortController();
      void ended.then(() => over.abort());
      const either = AbortSignal.any([over.signal, stop]);
      const wait = (ms: number) => delay(ms, undefined, { signal: either }).catch(() => {});
      const begun = performance.now();
      for (let told = false; !either.aborted; ) {
        const elapsed = performance.now() - begun;
        if (elapsed > 6 * graceMs) {
          log.error({ request_id: requestId }, 'a cancelled build cannot be ended; its RuntimeMaxSec will');
          return;
        }
        const signal = elapsed > graceMs ? 'SIGKILL' : 'SIGTERM';
        if (!told || signal === 'SIGKILL')
          told = await systemd.kill(requestId, signal).catch((error: unknown) => {
            log.warn(
              { request_id: requestId, err: error, signal },
              'a build cannot be told to stop; trying again',
            );
            return false;
          });
        // Not there yet: it is just being started.
        await wait(told ? graceMs / 2 : 100);
      }
    },
    async drop(requestId, state) {
      log.warn({ request_id: requestId, unit: state.kind }, 'a unit without a build; it is removed');
      if (state.kind === 'active') {
        await systemd.kill(requestId, 'SIGKILL').catch((error: unknown) => {
          log.warn({ request_id: requestId, err: error }, 'it is still there; its RuntimeMaxSec ends it');
        });
        return;
      }
      if (state.kind === 'over') await reset(requestId);
    },
    tidy,
  };
}

function unstarted(why: string): BuildOutcome {
  return failed(500, `the build did not start: ${why}`, 'builder');
}

function isTaken(said: string): boolean {
  return /already (?:loaded|exists)|was already/i.test(said);
}
