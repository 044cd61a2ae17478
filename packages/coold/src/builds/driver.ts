import type { BuildableStack } from '@coold/builder-core';
import type { Logger } from '@coold/runtime';
import { type BuildOutcome, failed } from './folder/build-outcome.ts';
import type { WorkFolders } from './folder/work-folder.ts';
import type { BuildNetworks } from './network/build-networks.ts';
import type { BuildNetwork } from './network/cable.ts';
import { NetworkError } from './network/network-error.ts';
import { Settlement } from './settle-build.ts';
import { endUnit } from './unit/end-unit.ts';
import { type Systemd, SystemdError } from './unit/systemd.ts';
import type { BuilderConfig, BuildUnit } from './unit/unit.ts';
import type { UnitState } from './unit/unit-state.ts';
import { UnitWatch } from './unit/unit-watch.ts';

export interface DriverOptions {
  folders: WorkFolders;
  systemd: Systemd;
  networks: Pick<BuildNetworks, 'prepare' | 'release'>;
  config: BuilderConfig;
  log: Logger;
  times?: Partial<DriverTimes>;
}

/** Times, in ms. */
interface DriverTimes {
  /** A unit that is not there after so long did not start. */
  start: number;
  /** Beyond a build's own time, until coold no longer expects it to end by itself. */
  slack: number;
  /** What a build gets to stop in when it is cancelled; it needs 2 s (docs/contract.md §7). */
  grace: number;
}

/** How systemd-run ended. */
interface RunResult {
  code: number | null;
  said: string;
  /** systemd-run could not be started, so there is no unit. */
  isMissing?: boolean;
}

const defaultTimes: DriverTimes = { start: 10_000, slack: 60_000, grace: 10_000 };

/**
 * Brings single builds from their work folder to their outcome, through their unit. Each call may continue where an earlier
 * coold was killed. All but `drop` and `tidy` reject when coold stops; the build then goes on without coold.
 */
export class Driver {
  readonly #options: DriverOptions;
  readonly #times: DriverTimes;
  readonly #settlement: Settlement;
  readonly #units: UnitWatch;

  constructor(options: DriverOptions) {
    const { folders, systemd, config, log, times } = options;
    this.#options = options;
    this.#times = { ...defaultTimes, ...times };
    this.#settlement = new Settlement({ folders, systemd, config, log });
    this.#units = new UnitWatch({
      folders,
      systemd,
      timeoutSecs: config.timeoutSecs,
      startMs: this.#times.start,
      slackMs: this.#times.slack,
      log,
    });
  }

  /** Starts the unit of a build and waits for its end. */
  async start(requestId: string, stack: BuildableStack, stop: AbortSignal): Promise<BuildOutcome> {
    const { folders, networks, config } = this.#options;
    stop.throwIfAborted();
    let network: BuildNetwork;
    try {
      network = await networks.prepare(requestId);
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      return this.settle(requestId, { kind: 'absent' }, notStarted(error.message));
    }
    try {
      return await this.#run(
        { requestId, stack, workFolder: folders.pathOf(requestId), network, config },
        stop,
      );
    } finally {
      networks.release(requestId);
    }
  }

  /** @param isRetry whether a failed unit of the same name was unloaded before, so that it is not tried again */
  async #run(unit: BuildUnit, stop: AbortSignal, isRetry = false): Promise<BuildOutcome> {
    const { requestId } = unit;
    stop.throwIfAborted();
    const giveUp = new AbortController();
    const running = this.#runUnit(unit, AbortSignal.any([stop, giveUp.signal]));
    running.catch(() => {}); // awaited below, unless coold stops first
    const beginning = await this.#units.untilStarted(requestId, running, stop);
    if (beginning === 'late') giveUp.abort();
    else if (beginning === 'started') await this.#settlement.markStarted(requestId);
    const { code, said, isMissing = false } = await running;
    stop.throwIfAborted();
    const state: UnitState | undefined = isMissing ? { kind: 'absent' } : await this.#units.ask(requestId);
    if (beginning !== 'started' && state?.kind === 'active') await this.#settlement.markStarted(requestId);
    if (beginning !== 'started' && state?.kind === 'over' && isNameTaken(said) && !isRetry) {
      await this.#options.systemd.reset(requestId);
      return this.#run(unit, stop, true);
    }
    if (code === 0 || said === '') return this.supervise(requestId, stop);
    const over = state?.kind === 'absent' ? state : await this.#units.untilOver(requestId, stop);
    // A step before the builder failed, for example setting up its network. Only the output of systemd-run says why.
    const neverRan = over.kind === 'absent' || (over.kind === 'over' && over.ending.how === '');
    if (!neverRan) return this.settle(requestId, over);
    const why =
      beginning === 'late' ? `systemd-run did not start the build within ${this.#times.start} ms` : said;
    return this.settle(requestId, over, notStarted(why));
  }

  async #runUnit(unit: BuildUnit, signal: AbortSignal): Promise<RunResult> {
    try {
      return await this.#options.systemd.run(unit, signal);
    } catch (error) {
      if (!(error instanceof SystemdError)) throw error;
      return { code: null, said: error.message, isMissing: error.isMissing };
    }
  }

  /** Waits for the end of a unit that an earlier coold started. */
  async supervise(requestId: string, stop: AbortSignal): Promise<BuildOutcome> {
    return this.settle(requestId, await this.#units.untilOver(requestId, stop));
  }

  /**
   * Waits for the end of a build that was queued when an earlier coold ended, in case it was started since.
   *
   * @returns 'waits' when it was never started
   */
  async resume(requestId: string, stop: AbortSignal): Promise<BuildOutcome | 'waits'> {
    const { kind } = await this.#units.untilKnown(requestId, stop);
    if (kind === 'absent' && !(await this.#units.hasOutcome(requestId))) return 'waits';
    if (kind === 'active') await this.#settlement.markStarted(requestId);
    return this.supervise(requestId, stop);
  }

  /** Ends or unloads a unit that has no work folder. A failure is logged. */
  async drop(requestId: string, state: UnitState): Promise<void> {
    const { systemd, log } = this.#options;
    log.warn({ request_id: requestId, unit: state.kind }, 'removing a unit that has no build');
    if (state.kind === 'active')
      await systemd.kill(requestId, 'SIGKILL').catch((error: unknown) => {
        log.warn(
          { request_id: requestId, err: error },
          'cannot kill a unit that has no build; its RuntimeMaxSec ends it',
        );
      });
    else if (state.kind === 'over') await this.#settlement.reset(requestId);
  }

  /** Decides how a build ended, and records that as its outcome. See `Settlement.settle`. */
  settle(requestId: string, state: UnitState, otherwise?: BuildOutcome): Promise<BuildOutcome> {
    return this.#settlement.settle(requestId, state, otherwise);
  }

  /** Removes the scratch folder that a killed builder left. A failure is logged. */
  tidy(requestId: string): Promise<void> {
    return this.#settlement.tidy(requestId);
  }

  /** Ends the unit of a build that was marked as cancelled. Resolves when `ended` does, or when nothing helps. */
  end(requestId: string, ended: Promise<unknown>, stop: AbortSignal): Promise<void> {
    const { systemd, log } = this.#options;
    return endUnit(requestId, ended, stop, { systemd, graceMs: this.#times.grace, log });
  }
}

function notStarted(why: string): BuildOutcome {
  return failed(500, `the build did not start: ${why}`, 'builder');
}

/** Whether systemd-run failed because a unit of that name exists. */
function isNameTaken(said: string): boolean {
  return /already (?:loaded|exists)|was already/i.test(said);
}
