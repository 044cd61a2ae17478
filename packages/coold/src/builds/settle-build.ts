import { removeScratch } from '@coold/builder-core';
import { errorMessage, type Logger } from '@coold/runtime';
import { conclude } from './conclude.ts';
import { type BuildOutcome, failed } from './folder/build-outcome.ts';
import type { FoundFolder, WorkFolders } from './folder/work-folder.ts';
import type { Systemd } from './unit/systemd.ts';
import type { BuilderConfig } from './unit/unit.ts';
import type { UnitState } from './unit/unit-state.ts';

export interface SettlementOptions {
  folders: WorkFolders;
  systemd: Pick<Systemd, 'reset'>;
  config: Pick<BuilderConfig, 'memoryMax' | 'timeoutSecs'>;
  log: Logger;
}

/** How long removing a scratch folder may take, in ms. */
const tidyMs = 120_000;

/** Decides and records the outcomes of builds whose unit is over. */
export class Settlement {
  readonly #options: SettlementOptions;

  constructor(options: SettlementOptions) {
    this.#options = options;
  }

  /** Records that the unit of a build was started. A failure is logged: the unit or the outcome shows the same. */
  async markStarted(requestId: string): Promise<void> {
    const { folders, log } = this.#options;
    await folders.markStarted(requestId).catch((error: unknown) => {
      log.warn({ request_id: requestId, err: error }, 'cannot record that a build was started');
    });
  }

  /** Unloads a failed unit. A failure is logged: the unit then stays loaded until the next start. */
  async reset(requestId: string): Promise<void> {
    const { systemd, log } = this.#options;
    await systemd.reset(requestId).catch((error: unknown) => {
      log.warn({ request_id: requestId, err: error }, 'a failed unit stays loaded until the next start');
    });
  }

  /** Removes the scratch folder that a killed builder left. A failure is logged: the folder goes with the work folder. */
  async tidy(requestId: string): Promise<void> {
    const { folders, log } = this.#options;
    const left = await removeScratch(folders.pathOf(requestId), tidyMs).catch(errorMessage);
    if (left === undefined || left.includes('ENOENT')) return;
    log.warn(
      { request_id: requestId, reason: left },
      'cannot remove the scratch folder of a build; it goes with the work folder',
    );
  }

  /** Writes the outcome to the work folder. Returns whether the outcome is on the disk. */
  async #record(requestId: string, found: FoundFolder, outcome: BuildOutcome): Promise<boolean> {
    const { folders, log } = this.#options;
    if (JSON.stringify(found.outcome) === JSON.stringify(outcome)) return true;
    const write = () => folders.record(requestId, outcome);
    try {
      await write().catch(async () => {
        await this.tidy(requestId); // makes room on a full disk
        await write();
      });
    } catch (error) {
      log.error(
        { request_id: requestId, err: error },
        'cannot write the outcome of a build; answering with it anyway',
      );
      return false;
    }
    if (outcome.kind === 'err') await folders.say(requestId, { type: 'error', err: outcome.err });
    return true;
  }

  async #persist(requestId: string, found: FoundFolder | undefined, outcome: BuildOutcome): Promise<boolean> {
    const { folders, log } = this.#options;
    if (found === undefined) return true;
    // The builder removes the credentials when it begins. A builder that never began did not.
    await folders.forgetSecrets(requestId).catch((error: unknown) => {
      log.error({ request_id: requestId, err: error }, 'a request keeps its credentials until it is removed');
    });
    if (!(await this.#record(requestId, found, outcome))) return false;
    if (found.queuedAt !== undefined) await this.markStarted(requestId);
    return true;
  }

  /**
   * Decides how a build ended and records that as its outcome. Never rejects for a disk or a systemd that fails.
   *
   * @param otherwise the outcome where the work folder holds neither an outcome nor a cancel
   */
  async settle(requestId: string, state: UnitState, otherwise?: BuildOutcome): Promise<BuildOutcome> {
    const { folders, config, log } = this.#options;
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
    const outputTail = recorded?.kind === 'err' ? await folders.outputTail(requestId).catch(() => '') : '';
    const concluded = conclude({ recorded, cancelled, ending, outputTail, limits: config });
    const outcome = recorded === undefined && !cancelled && otherwise !== undefined ? otherwise : concluded;
    log.info(
      {
        request_id: requestId,
        ...(outcome.kind === 'ok' ? { digest: outcome.ok.digest } : outcome.err),
        ...(ending === undefined ? {} : { unit: ending }),
      },
      outcome.kind === 'ok' ? 'build done' : 'build failed',
    );
    // The unit stays loaded until the outcome is on the disk: before that, only systemd knows how the build ended.
    if ((await this.#persist(requestId, found, outcome)) && ending !== undefined) await this.reset(requestId);
    return outcome;
  }
}
