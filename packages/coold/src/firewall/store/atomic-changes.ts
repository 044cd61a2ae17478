import { errorMessage, type Logger } from '@coold/runtime';
import { FirewallError } from '../firewall-error.ts';
import type { Kernel } from '../planes/follow/kernel.ts';
import { KernelError } from '../planes/kernel-tool.ts';
import { type Change, inverse } from '../rule/change.ts';
import type { Rule } from '../rule/rule.ts';
import type { Journal, Leftover } from './journal.ts';
import type { SnapshotCache } from './snapshot-cache.ts';
import type { StagedSnapshot } from './snapshot-files.ts';

/**
 * Whether a change is half done. Transitions: settled → unfinished when a change fails in the kernel or the files, or
 * when its journal cannot be removed; unfinished → settled once all of it was undone.
 */
export type ChangesState =
  /** Every change that was begun is in every plane and both files, or in none. */
  | { name: 'settled' }
  /**
   * A change was refused, and part of it may still be in the kernel or the files. It is undone before the next change.
   */
  | { name: 'unfinished'; changes: readonly Change[] };

export interface AtomicChangesOptions {
  kernel: Pick<Kernel, 'look' | 'check' | 'apply' | 'applyBy'>;
  snapshots: Pick<SnapshotCache, 'stage' | 'write'>;
  journal: Journal;
  /** The rules that the files start from while no file can be read. */
  model: { values(): Iterable<Rule> };
  log: Logger;
}

/**
 * Makes changes of the allow rules in every plane and both files, or in none (docs/architecture.md, the firewall flow). Call
 * one method at a time, as the store's queue does.
 */
export class AtomicChanges {
  readonly #options: AtomicChangesOptions;
  #state: ChangesState = { name: 'settled' };

  constructor(options: AtomicChangesOptions) {
    this.#options = options;
  }

  get state(): ChangesState {
    return this.#state;
  }

  /**
   * Makes some changes, or none of them. First comes everything that can fail without changing the kernel: room on the disk,
   * and whether the kernel would take many rules. Then the journal says what is coming, then the kernel is changed, and then
   * the files are replaced.
   *
   * @param rewriteFiles whether the files are written also where no change concerns them
   * @throws FirewallError when it failed; its message says whether nothing has changed or what is still to be taken back
   */
  async commit(changes: readonly Change[], rewriteFiles = false): Promise<void> {
    const { kernel, journal, log } = this.#options;
    const writesFiles = rewriteFiles || changes.some(({ file }) => file);
    if (changes.length === 0 && !writesFiles) return;
    const staged = await this.#prepare(changes, writesFiles);
    try {
      await kernel.apply(changes);
      await staged?.commit();
    } catch (error) {
      await staged?.discard().catch(() => {});
      throw await this.#takeBack(changes, error);
    }
    await journal.finish().catch((error: unknown) => {
      // The change is done. Completing it again would change nothing, and the next change replaces the journal.
      log.warn({ err: error }, 'the journal of a change that is done cannot be removed');
    });
  }

  /** Undoes what an earlier change has left, if anything. @throws Error when that still fails */
  async settle(): Promise<void> {
    if (this.#state.name === 'settled') return;
    const { kernel, log } = this.#options;
    const changes = this.#state.changes.map(inverse);
    await kernel.look();
    await this.#applyAll(changes);
    this.#state = { name: 'settled' };
    log.info({ rules: changes.length }, 'a failed change of the firewall was taken back');
  }

  /**
   * Settles what an earlier process left in its journal: completes the change, or takes it back where its callers were told
   * that it failed or where it cannot be completed. A journal that cannot be read is put aside.
   *
   * @returns what is wrong with the journal, in words; undefined when it could be read
   * @throws Error when the change can be neither completed nor taken back
   */
  async recover(): Promise<string | undefined> {
    const { journal, log } = this.#options;
    let left: Leftover | undefined;
    try {
      left = await journal.read();
    } catch (error) {
      const aside = await journal.putAside();
      log.error(
        { err: error, aside },
        'the journal of the firewall cannot be read; putting it aside and going on without it',
      );
      return `the journal cannot be read, and is kept as ${aside}: ${errorMessage(error)}`;
    }
    if (left === undefined) return undefined;
    const { direction, changes } = left;
    log.warn({ rules: changes.length, direction }, 'an earlier coold ended within a change of the firewall');
    if (direction === 'complete')
      try {
        await this.#applyAll(changes);
        log.info({ rules: changes.length }, 'the change of the earlier coold is complete now');
        return undefined;
      } catch (error) {
        log.warn({ err: error }, 'the change of the earlier coold cannot be completed; taking it back');
        await journal.giveUp();
      }
    this.#state = { name: 'unfinished', changes };
    await this.settle();
    return undefined;
  }

  /**
   * Does everything that can fail without changing the kernel.
   *
   * @returns the new files, on the disk and not seen yet; undefined: they stay as they are
   * @throws FirewallError when any of it failed; then nothing has changed
   */
  async #prepare(changes: readonly Change[], writesFiles: boolean): Promise<StagedSnapshot | undefined> {
    const { kernel, snapshots, journal, model, log } = this.#options;
    const added = changes.flatMap(change =>
      change.kind === 'add' && isInKernel(change) ? [change.rule] : [],
    );
    const [staged, ...others] = await Promise.allSettled([
      writesFiles ? snapshots.stage(changes, model.values()) : undefined,
      journal.begin(changes),
      added.length > 1 ? kernel.check(added) : undefined,
    ]);
    const failed = [staged, ...others].find(outcome => outcome.status === 'rejected');
    if (failed === undefined && staged.status === 'fulfilled') return staged.value;
    if (staged.status === 'fulfilled') await staged.value?.discard().catch(() => {});
    await journal.forget().catch((error: unknown) => {
      // A restart would complete what was refused.
      this.#state = { name: 'unfinished', changes: [...changes] };
      log.error({ err: error }, 'the journal of a refused change cannot be removed; trying again soon');
    });
    throw new FirewallError(
      'firewall_failed',
      `nothing has changed: ${errorMessage(failed?.reason)}`,
      failed?.reason,
    );
  }

  /** Undoes a change that failed in the kernel or the files. Never rejects. @returns the error for its callers */
  async #takeBack(changes: readonly Change[], cause: unknown): Promise<FirewallError> {
    const { journal, log } = this.#options;
    this.#state = { name: 'unfinished', changes: [...changes] };
    // The kernel must not keep a refused change, even where the disk fails.
    const journalProblem = await journal.giveUp().then(
      () => undefined,
      (error: unknown) => `its journal cannot say so yet: ${errorMessage(error)}`,
    );
    let problem: string | undefined;
    try {
      problem = (await this.#takeBackNow(changes.map(inverse), cause)) ?? journalProblem;
    } catch (error) {
      log.error(
        { err: error, rules: changes.length },
        'a failed change of the firewall could not be taken back; trying again soon, before the next change, and at start',
      );
      problem = `it could not be taken back yet: ${errorMessage(error)}`;
    }
    const why = errorMessage(cause);
    const message =
      this.state.name === 'settled' || problem === undefined
        ? `nothing has changed: ${why}`
        : `${why}; ${problem}`;
    return new FirewallError('firewall_failed', message, cause);
  }

  /**
   * @param undoing the changes that undo the failed ones
   *
   * @returns what still has to be undone, in words
   * @throws Error when nothing could be undone
   */
  async #takeBackNow(undoing: readonly Change[], cause: unknown): Promise<string | undefined> {
    const { kernel, log } = this.#options;
    // This program hangs or is missing. It is not run again while callers wait.
    const unavailable = cause instanceof KernelError ? cause.unavailable : undefined;
    if (unavailable === undefined)
      try {
        await this.settle();
        return undefined;
      } catch (error) {
        log.warn(
          { err: error },
          'a failed change could not be taken back from every plane; taking it back from iptables',
        );
        await kernel.applyBy('iptables', undoing);
        return `all of it could not be taken back yet: ${errorMessage(error)}`;
      }
    // The other program's part is undone now. Everything is settled once both can be run.
    await kernel.applyBy(unavailable === 'nft' ? 'iptables' : 'nft', undoing);
    log.warn(
      { program: unavailable, rules: undoing.length },
      'it is unknown how much of a failed change this program has made; looking soon',
    );
    return cause instanceof KernelError && cause.wasKilled
      ? `what ${unavailable} did of it is unknown, and is taken back as soon as it answers`
      : undefined;
  }

  /** Brings kernel and files to some changes, and removes the journal. @throws Error */
  async #applyAll(changes: readonly Change[]): Promise<void> {
    const { kernel, snapshots, journal, model } = this.#options;
    await kernel.apply(changes);
    if (changes.some(({ file }) => file)) await snapshots.write(changes, model.values());
    await journal.forget();
  }
}

const isInKernel = ({ iptables, nft, guard }: Change) => iptables || nft || guard;
