import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type ChangeSignal,
  createRepeatedWarning,
  errorMessage,
  type Logger,
  pause,
  type Task,
} from '@coold/runtime';
import { type KernelView, noKernelView } from '../netlink/kernel-view.ts';
import { more, type Touched } from '../planes/follow/touched.ts';
import type { DenyState } from '../scaffold/deny-state.ts';
import { readDesiredScaffold } from '../scaffold/desired-scaffold.ts';
import { foreignFileName, readForeignScaffold } from '../scaffold/foreign-scaffold.ts';
import type { ApiGuard } from './api-guard.ts';
import { DenyInspector, type Inspection, type NamedDeny } from './inspect-deny.ts';
import { followSwitchOff, guardBeside } from './keep-foreign.ts';
import { Remembered } from './remembered.ts';
import { DenyRepairer } from './repair-deny.ts';

/** The default deny that this host should have (docs/contract.md §4). It is restored when it is removed or changed. */
export interface DefaultDeny {
  /** Returns the state of the deny at the last check. */
  state(): DenyState;
  /** Returns how often the deny had to be restored since coold started. */
  repairs(): number;
  /** Says how much of the deny may have changed. The next check reads that part again. */
  touch(touched: Touched): void;
  /**
   * Checks the deny, unless it is known to be broken. The kernel announces the removal of thousands of rules only after
   * seconds, so silence alone proves nothing. Waits no longer than `withinMs`. Never rejects.
   *
   * @returns whether the state describes the kernel at the time of the call or later
   */
  judge(withinMs: number): Promise<boolean>;
  /** Checks the whole deny and restores what is missing or changed. @throws Error when that fails */
  repair(): Promise<void>;
  /**
   * Returns the task that keeps the deny in place.
   *
   * @param onFirstLook called after the first check, and repair if needed, whatever its result
   */
  keep(onFirstLook: () => void): Task;
}

export interface DefaultDenyOptions {
  /** mesh.env, which configures the scaffold. */
  desiredPath: string;
  /** Signals that the kernel announced a change to something the deny consists of. */
  changes: Pick<ChangeSignal, 'count' | 'later'>;
  /** Returns whether changes of nftables are announced now. */
  isWatched: () => boolean;
  /** Returns whether changes of iptables are announced as well. */
  isAnnounced: () => boolean;
  /**
   * Says which tables are unchanged since the last check, so that they are not listed again. By default every check
   * lists.
   */
  view?: KernelView;
  log: Logger;
  /** Called before something is restored, so that others can record what was lost with it. */
  onMissing: () => Promise<void>;
  /** Called whenever a check finds the whole deny in place. */
  onInPlace: () => void;
  /**
   * Called after a guard was added beside the scaffold of `coolify init`: the allow rules now belong in the guard too.
   */
  onGuardNew?: () => void;
  /** What the guard has to know of coold's own ports. */
  apiGuard?: ApiGuard;
}

/**
 * The interval between checks where the kernel announces changes, and where it does not, as with iptables-legacy. In
 * ms.
 */
const everyMs = { announced: 5000, silent: 1000 };
/** Checking thousands of rules of iptables-legacy takes long. The pause after a check is this many times its duration. */
const restPerLook = 4;
/** How long others may take to record what was lost, in ms. The host is open meanwhile, so this is short. */
const onMissingMs = 500;
/** The pause after a failed repair, in ms. */
const againMs = 10_000;
/** How long after the disk the kernel may show that a subnet joined, in ms. */
const joiningMs = 700;

/** Returns the keeper of the default deny, which has not checked anything yet. Its methods work as plain functions. */
export function createDefaultDeny(options: DefaultDenyOptions): DefaultDeny {
  const keeper = new DenyKeeper(options);
  return {
    state: () => keeper.state,
    repairs: () => keeper.repairs,
    touch: touched => keeper.touch(touched),
    judge: withinMs => keeper.judge(withinMs),
    repair: () => keeper.repair(),
    keep: onFirstLook => stop => keeper.keep(onFirstLook, stop),
  };
}

/**
 * Keeps the default deny in the kernel as it should be: `systemctl restart nftables`, `nft flush ruleset` or `iptables -F
 * FORWARD` remove it, and a rule or set changed by hand opens it as well. A repair never opens anything.
 *
 * The states are those of `DenyState`. Each check (`#check`) ends in one of them:
 * - any → not wanted: nothing names a deny;
 * - any → unknown: mesh.env cannot be used;
 * - any → in place: nothing is missing, or it was put back;
 * - any → broken: the kernel cannot be read, or something is missing; it stays so where putting back fails.
 */
class DenyKeeper {
  readonly #options: DefaultDenyOptions;
  readonly #inspector: DenyInspector;
  readonly #repairer: DenyRepairer;
  /** Whether the guard was removed because the CLI was told to deny nothing. */
  readonly #switchedOff: Remembered<boolean>;
  #state: DenyState = { kind: 'unknown' };
  #repairs = 0;
  /** How much the next check reads besides iptables, which every check reads. */
  #touched: Touched = 'tables';
  /** The check in progress. Callers share it, because there is only one at a time. */
  #running: Promise<void> | undefined;

  constructor(options: DefaultDenyOptions) {
    this.#options = options;
    const { view = noKernelView } = options;
    this.#inspector = new DenyInspector(options.apiGuard, view);
    this.#switchedOff = new Remembered(view);
    this.#repairer = new DenyRepairer(this.#inspector, options.apiGuard, options.log);
  }

  get state(): DenyState {
    return this.#state;
  }

  get repairs(): number {
    return this.#repairs;
  }

  touch(touched: Touched): void {
    this.#touched = more(this.#touched, touched);
  }

  async judge(withinMs: number): Promise<boolean> {
    // A broken state is already reported, and the next attempt handles it.
    const isBroken = () => this.state.kind === 'broken';
    const look = async () => {
      // A check in progress may have begun before the change.
      await this.#running?.catch(() => {});
      if (!isBroken()) await this.#lookOnce().catch(() => {});
      return true;
    };
    if (isBroken()) return true;
    const late = new AbortController();
    const patience = pause(withinMs, late.signal).then(() => false);
    return await Promise.race([look(), patience]).finally(() => late.abort());
  }

  async repair(): Promise<void> {
    this.touch('chains');
    await this.#lookOnce();
  }

  async keep(onFirstLook: () => void, stop: AbortSignal): Promise<void> {
    const { changes, log } = this.#options;
    const failing = createRepeatedWarning(log, { level: 'error' });
    while (!stop.aborted) {
      // Taken before the check, so that a change during the check is checked again.
      const before = changes.count();
      const startedAt = performance.now();
      const isDone = await this.#lookOnce().then(
        () => {
          failing.over();
          return true;
        },
        (error: unknown) => {
          failing.warn(
            errorMessage(error),
            { again_in_ms: againMs },
            'cannot keep the default deny; trying again',
          );
          return false;
        },
      );
      onFirstLook();
      if (isDone) await changes.later(before, this.#restMs(performance.now() - startedAt), stop);
      else await pause(againMs, stop);
    }
  }

  /** Returns how long to pause after a check of this duration, in ms. */
  #restMs(tookMs: number): number {
    if (this.#options.isAnnounced()) return everyMs.announced;
    return Math.min(Math.max(everyMs.silent, restPerLook * tookMs), everyMs.announced);
  }

  #lookOnce(): Promise<void> {
    this.#running ??= this.#check().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Determines what this host should have, and restores what is missing. @throws Error when either fails */
  async #check(): Promise<void> {
    const desired = await readDesiredScaffold(this.#options.desiredPath);
    if (desired.kind === 'named') return await this.#lookAt(desired);
    if (desired.kind === 'unusable') {
      this.#state = { kind: 'unknown' };
      return;
    }
    const foreign = await this.#orBroken(() => this.#readForeign());
    if (foreign !== undefined) return await this.#lookAt({ ...guardBeside(foreign), foreign });
    // Another scaffold may be installed here.
    this.#touched = 'tables';
    // Whatever removed it is a change, so the removal is reported once.
    if (await this.#switchedOff.get('', followSwitchOff))
      this.#options.log.warn('coolify init was told to deny nothing: the guard is removed, too');
    this.#state = { kind: 'not wanted' };
  }

  async #lookAt(desired: NamedDeny): Promise<void> {
    const { onGuardNew, onInPlace } = this.#options;
    const isForeign = desired.foreign !== undefined;
    const found = await this.#orBroken(() => this.#inspect(desired));
    const { deviations } = found;
    // `coolify init` may be removing its scaffold right now. What it has removed is not restored.
    const isGoing = async () => (await this.#orBroken(() => this.#readForeign())) === undefined;
    if (isForeign && deviations.length > 0 && (await isGoing())) return await this.#check();
    const isGuardNew = isForeign && found.tables.guard === undefined;
    // At each boot the unit of `coolify init` installs everything except the guard.
    const isOnlyGuardMissing = isGuardNew && deviations.length === 1 && this.#state.kind !== 'in place';
    if (isOnlyGuardMissing) await this.#putGuardBeside(desired, found);
    else if (deviations.length > 0) await this.#putBack(desired, found);
    if (isGuardNew) onGuardNew?.();
    await this.#repairer.removeLeft(desired, found.leftHooks);
    // The next check reads back the bridges that were added.
    if (await this.#repairer.nameNewLinks(found.links)) this.touch('chains');
    // Networks that `coolify init` no longer names stay denied until the next boot. There is no file that an operator
    // could correct.
    const beyond = isForeign ? [] : found.beyond;
    this.#state = { kind: 'in place', ...(beyond.length === 0 ? {} : { beyond }) };
    onInPlace();
  }

  /** Inspects as much as may have changed, and again when a subnet may just be joining or leaving. @throws Error */
  async #inspect(desired: NamedDeny): Promise<Inspection> {
    const isOld = await this.#inspector.areTablesOld();
    const known = this.#options.isWatched() ? more(this.#touched, isOld ? 'chains' : 'iptables') : 'tables';
    const depth = this.#state.kind === 'in place' ? known : 'tables';
    this.#touched = 'iptables';
    const found = await this.#inspector.inspect(desired, depth);
    if (found.deviations.length === 0 || found.deviations.some(({ isSure }) => isSure)) return found;
    await pause(joiningMs);
    return await this.#inspector.inspect(desired, more(depth, 'chains'));
  }

  async #putGuardBeside(desired: NamedDeny, found: Inspection): Promise<void> {
    await this.#repairer.putIn(desired, found).catch((error: unknown) => {
      this.#state = { kind: 'broken', why: `the guard cannot be put in: ${errorMessage(error)}` };
      throw error;
    });
    this.#options.log.info('the guard is put beside the scaffold of coolify init');
  }

  /** @throws Error when the deny is not in place after that */
  async #putBack(desired: NamedDeny, found: Inspection): Promise<void> {
    const { onMissing, log } = this.#options;
    const deviations = found.deviations.map(({ text }) => text);
    const why = `missing or changed: ${deviations.join(', ')}`;
    const isNews = this.#state.kind !== 'broken';
    this.#state = { kind: 'broken', why };
    await Promise.race([onMissing(), delay(onMissingMs)]);
    try {
      await this.#repairer.putIn(desired, found);
    } catch (error) {
      this.#inspector.forgetAbilities();
      this.#touched = 'tables';
      this.#state = { kind: 'broken', why: `${why}; it cannot be restored: ${errorMessage(error)}` };
      throw error;
    }
    this.#repairs += 1;
    if (isNews)
      log.error(
        { deviations },
        'the default deny was not in place, so containers could reach each other; it is restored',
      );
    else log.warn({ deviations }, 'the default deny is restored');
  }

  /** Runs a read. When it fails, the state becomes broken. @throws what `read` threw */
  async #orBroken<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      this.#touched = 'tables';
      this.#state = { kind: 'broken', why: `it cannot be read: ${errorMessage(error)}` };
      throw error;
    }
  }

  #readForeign() {
    return readForeignScaffold(join(dirname(this.#options.desiredPath), foreignFileName));
  }
}
