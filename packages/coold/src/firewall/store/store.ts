import { setImmediate as nextTurn } from 'node:timers/promises';
import { errorMessage, type Logger } from '@coold/runtime';
import { asFirewallError, FirewallError } from '../firewall-error.ts';
import type { Kernel } from '../planes/follow/kernel.ts';
import type { Change } from '../rule/change.ts';
import type { Rule } from '../rule/rule.ts';
import type { DenyState } from '../scaffold/deny-state.ts';
import { AtomicChanges } from './atomic-changes.ts';
import type { Journal } from './journal.ts';
import { planChanges } from './plan.ts';
import { type Edit, type EditCounts, RuleModel, wantedBy } from './rule-model.ts';
import { missingFromGuard, missingInNewGuard, vanishedRules } from './rules-to-restore.ts';
import { createSerialQueue, type Job } from './serial-queue.ts';
import { createSnapshotCache, type SnapshotCache } from './snapshot-cache.ts';
import type { SnapshotFiles } from './snapshot-files.ts';
import { readState, type StoreState } from './store-state.ts';
import { rulesOfUnknownElements } from './unknown-elements.ts';

/** The allow rules of this host: in every plane and both files, or in none (docs/architecture.md, the firewall flow). */
export interface Store {
  /** Makes all of these edits, or none. @param options.alone not together with other calls that wait. @throws FirewallError */
  edit(edits: readonly Edit[], options?: { alone?: boolean }): Promise<EditCounts>;
  /** Brings every plane to the content of the files. @throws FirewallError, also while the default deny is broken */
  reconcile(): Promise<void>;
  /**
   * Restores the rules that disappeared together with their chain or table, and no others. Called when the default deny
   * was restored after another program emptied the packet filter. Never rejects.
   */
  restoreVanished(): Promise<void>;
  /** Adds the rules of both planes and the files to a guard that was just installed beside them. Never rejects. */
  fillGuard(): Promise<void>;
  /** Reads the kernel again when what is known may be out of date. Never rejects. */
  refresh(): Promise<void>;
  /**
   * Resolves once the kernel was read or the attempt failed, so that calls right after a start wait instead of failing.
   * Never rejects.
   */
  whenRead(): Promise<void>;
  /** Returns all rules, sorted by namespace and id. @throws FirewallError 503 while the kernel could not be read yet */
  rules(): readonly Rule[];
  /** Returns the rule of an id, undefined where there is none. */
  rule(id: string): Rule | undefined;
  /** Returns what is known now. It may not yet include a change of the default deny announced a moment ago. */
  state(): StoreState;
  /**
   * The same after a check of the default deny, which may take `judgeMs`; after that time, the mode is `unknown`. Never
   * rejects.
   */
  judgedState(): Promise<StoreState>;
  /**
   * Reads kernel, files and journal, settles what an earlier process left, and then serves until `stop`. Never rejects.
   */
  run(stop: AbortSignal, onLoaded: () => void): Promise<void>;
}

export interface StoreOptions {
  chain: string;
  kernel: Kernel;
  files: SnapshotFiles;
  journal: Journal;
  log: Logger;
  /** Returns the state of the default deny that the rules are exceptions to. Default: always unknown */
  deny?: () => DenyState;
  /** Checks the default deny when its state may be out of date. Resolves with whether that finished within so many ms. */
  judgeDeny?: (withinMs: number) => Promise<boolean>;
  /** Restores a default deny that is missing. @throws Error */
  repairDeny?: () => Promise<void>;
  now?: () => Date;
  /** The pause between two attempts to read the kernel or to undo a failed change, in ms. */
  retryMs?: number;
}

/**
 * How long a status waits for a check of the default deny, so that it does not call a host healthy that was just
 * opened. In ms.
 */
const judgeMs = 2000;
/** Where the kernel announces nothing, it is read at each tenth retry, because reading costs the host time. */
const retriesPerRead = 10;

/** What a job of the queue does. */
type Work =
  | { kind: 'edit'; edits: readonly Edit[] }
  | { kind: 'reconcile' | 'refresh' | 'restore vanished' | 'fill guard' };

type StoreJob = Job & Work & { done(counts: EditCounts): void };

/** Returns a store that has read nothing yet; `run` makes it serve. Its methods may be passed on by themselves. */
export function createStore(options: StoreOptions): Store {
  const store = new FirewallStore(options);
  return {
    edit: (edits, how) => store.edit(edits, how),
    reconcile: () => store.reconcile(),
    restoreVanished: () => store.restoreVanished(),
    fillGuard: () => store.fillGuard(),
    refresh: () => store.refresh(),
    whenRead: () => store.whenRead(),
    rules: () => store.rules(),
    rule: id => store.rule(id),
    state: () => store.state(),
    judgedState: () => store.judgedState(),
    run: (stop, onLoaded) => store.run(stop, onLoaded),
  };
}

/**
 * Does one job after the other: each first makes sure that what is known is true (`#prepare`), then plans changes and
 * commits them. Half-done changes are the state of `AtomicChanges`, not of this class.
 */
class FirewallStore {
  readonly #options: StoreOptions;
  readonly #queue = createSerialQueue<StoreJob>();
  readonly #model = new RuleModel();
  readonly #snapshots: SnapshotCache;
  readonly #changes: AtomicChanges;
  /**
   * Whether kernel, files and journal have been read since this coold started. Before that it answers and changes
   * nothing.
   */
  #isLoaded = false;
  #lastError: StoreState['lastError'];
  #hasWarnedPermissive = false;

  constructor(options: StoreOptions) {
    const { chain, kernel, files, journal, log } = options;
    this.#options = options;
    this.#snapshots = createSnapshotCache(files, chain, log);
    this.#changes = new AtomicChanges({
      kernel,
      snapshots: this.#snapshots,
      journal,
      model: this.#model,
      log,
    });
  }

  edit(edits: readonly Edit[], { alone = false }: { alone?: boolean } = {}): Promise<EditCounts> {
    return this.#enqueue({ kind: 'edit', edits }, alone ? undefined : 'edits');
  }

  async reconcile(): Promise<void> {
    await this.#enqueue({ kind: 'reconcile' });
  }

  async restoreVanished(): Promise<void> {
    await this.#enqueue({ kind: 'restore vanished' }).catch(() => {});
  }

  async fillGuard(): Promise<void> {
    await this.#enqueue({ kind: 'fill guard' }).catch(() => {});
  }

  async refresh(): Promise<void> {
    await this.#enqueue({ kind: 'refresh' }, 'refresh').catch(() => {});
  }

  async whenRead(): Promise<void> {
    if (!this.#isLoaded) await this.refresh();
  }

  rules(): readonly Rule[] {
    if (!this.#isLoaded)
      throw new FirewallError(
        'firewall_failed',
        `the firewall could not be read yet: ${this.#lastError?.message ?? 'it is being read'}`,
      );
    return this.#model.sorted();
  }

  rule(id: string): Rule | undefined {
    return this.#model.get(id);
  }

  state(): StoreState {
    return this.#stateNow(true);
  }

  async judgedState(): Promise<StoreState> {
    const { judgeDeny } = this.#options;
    return this.#stateNow(judgeDeny === undefined || (await judgeDeny(judgeMs)));
  }

  async run(stop: AbortSignal, onLoaded: () => void): Promise<void> {
    const { kernel, log, retryMs = 2000 } = this.#options;
    await this.#load().catch((error: unknown) => {
      this.#note(errorMessage(error));
      log.error({ err: error, again_in_ms: retryMs }, 'the firewall cannot be read; trying again');
    });
    await kernel.tidy();
    onLoaded();
    let tick = 0;
    const retries = setInterval(() => {
      tick += 1;
      const isOld = kernel.isWatched() && !kernel.isFresh();
      const isBehind = !this.#isLoaded || this.#changes.state.name === 'unfinished' || isOld;
      if (isBehind || tick % retriesPerRead === 0) void this.refresh();
    }, retryMs);
    await this.#queue.run(jobs => this.#work(jobs), stop);
    clearInterval(retries);
  }

  #enqueue(work: Work, group?: string): Promise<EditCounts> {
    return new Promise((done, fail) => {
      const size = work.kind === 'edit' ? work.edits.length : 0;
      this.#queue.push({ ...work, group, size, done, fail });
    });
  }

  /** Does some jobs together and answers their callers. Never rejects. */
  async #work(jobs: readonly StoreJob[]): Promise<void> {
    const { kernel, log } = this.#options;
    const [first] = jobs;
    if (first === undefined) return;
    try {
      if (first.kind === 'refresh') await this.#refresh();
      else await this.#prepare();
      if (first.kind === 'edit') await this.#edit(jobs.filter(job => job.kind === 'edit'));
      else if (first.kind === 'reconcile') await this.#reconcile();
      else if (first.kind === 'restore vanished') await this.#restoreVanished();
      else if (first.kind === 'fill guard') {
        await kernel.look();
        await this.#fillGuard(missingFromGuard(this.#model.values(), this.#snapshots.ids, kernel));
      }
      for (const job of jobs) job.done({ added: 0, removed: 0, total: this.#model.size });
    } catch (error) {
      const failure = asFirewallError(error);
      this.#note(failure.message);
      if (first.kind !== 'refresh')
        log.error(
          { err: error, calls: jobs.length },
          'the firewall was not changed; the callers get the error',
        );
      for (const job of jobs) job.fail(failure);
    }
    // Answers go out first.
    await nextTurn();
    await kernel.tidy();
  }

  /** Reads everything for the first time. @throws Error when kernel or disk cannot be read */
  async #load(): Promise<void> {
    const { kernel } = this.#options;
    await kernel.look();
    await this.#snapshots.read(id => this.#standing(id));
    this.#adoptKernel();
    // A change of an earlier process is settled before anyone is told which rules stand.
    try {
      const problem = await this.#changes.recover();
      if (problem !== undefined) this.#note(problem);
    } finally {
      this.#adoptKernel();
    }
    await this.#fillGuard(missingInNewGuard(this.#model.values(), this.#snapshots.ids, kernel));
    this.#isLoaded = true;
    this.#logLoaded();
  }

  /** Replaces the model by the rules in the kernel. */
  #adoptKernel(): void {
    const { nft, iptables } = this.#options.kernel;
    const standing = [...(nft?.rules.values() ?? []), ...iptables.rules.values()];
    this.#model.replace(standing.map(({ rule }) => rule));
  }

  #logLoaded(): void {
    const { kernel, log } = this.#options;
    const { rules, drift, mode } = this.state();
    log.info({ ...rules, mode, backend: kernel.backend }, 'the firewall is read');
    const counts = Object.entries(drift).map(
      ([name, ids]: [string, string[]]) => [name, ids.length] as const,
    );
    if (counts.some(([, count]) => count > 0))
      log.warn(
        Object.fromEntries(counts),
        'kernel and snapshots differ; coold opens and closes nothing for that: firewall.reconcile brings the kernel to the snapshots',
      );
  }

  /** Before a change: reads what may be out of date, and settles what is half done. @throws Error */
  async #prepare(): Promise<void> {
    const { kernel, log } = this.#options;
    if (!this.#isLoaded) await this.#load();
    await this.#changes.settle();
    await kernel.lookIfOld();
    await this.#snapshots.readChanged(id => this.#standing(id));
    if (kernel.nft !== undefined || this.#deny().kind === 'broken' || this.#hasWarnedPermissive) return;
    this.#hasWarnedPermissive = true;
    log.warn(
      'this host has no firewall scaffold: rules go to iptables and the snapshots only, and nothing is denied',
    );
  }

  async #refresh(): Promise<void> {
    const { kernel } = this.#options;
    if (!this.#isLoaded || this.#changes.state.name === 'unfinished') await this.#prepare();
    else if (kernel.isFresh()) await kernel.glance();
    else await kernel.lookIfOld();
  }

  async #edit(jobs: readonly (StoreJob & { kind: 'edit' })[]): Promise<void> {
    await this.#changes.commit(this.#plan(wantedBy(jobs.flatMap(({ edits }) => edits))));
    for (const job of jobs) job.done(this.#model.apply(job.edits));
  }

  async #reconcile(): Promise<void> {
    const { kernel, log, repairDeny } = this.#options;
    // Correct rules mean nothing while the default deny that they are exceptions to is missing.
    if (this.#deny().kind === 'broken') await repairDeny?.().catch(() => {}); // the state says why it failed
    const deny = this.#deny();
    if (deny.kind === 'broken')
      throw new FirewallError('firewall_failed', `the default deny is not in place: ${deny.why}`);
    await kernel.look();
    await this.#snapshots.read(id => this.#standing(id));
    const { rules, problem } = this.#snapshots;
    if (rules === undefined && problem !== undefined)
      throw new FirewallError('snapshot_unreadable', `the snapshots cannot be read: ${problem}`);
    const target = rules ?? [...this.#model.values()];
    const changes = this.#plan(this.#wantedOnly(target));
    await this.#changes.commit(changes, rules === undefined || problem !== undefined);
    this.#model.replace(target);
    kernel.forgetVanished();
    log.info({ changed: changes.length, rules: this.#model.size }, 'every plane is what the snapshots say');
  }

  async #restoreVanished(): Promise<void> {
    const { kernel, log } = this.#options;
    await kernel.look();
    const changes = this.#plan(byId(vanishedRules(this.#model.values(), this.#snapshots.ids, kernel)));
    await this.#changes.commit(changes);
    kernel.forgetVanished();
    if (changes.length > 0)
      log.warn(
        { rules: changes.length },
        'another program emptied the packet filter; the allow rules that it removed are back, as the snapshots say',
      );
  }

  async #fillGuard(rules: readonly Rule[]): Promise<void> {
    if (rules.length === 0) return;
    await this.#changes.commit(this.#plan(byId(rules)));
    this.#options.log.info(
      { rules: rules.length },
      'the guard is new on this host, and now has the rules of both planes',
    );
  }

  /** Plans what has to be done so that the rules of some ids stand and those of others do not. */
  #plan(wanted: ReadonlyMap<string, Rule | undefined>): Change[] {
    const { iptables, nft, guard } = this.#options.kernel;
    const files = this.#snapshots.rules === undefined ? this.#model.byId : this.#snapshots.ids;
    return planChanges(wanted, { iptables, nft, guard, files }, id => this.#find(id), this.#model.values());
  }

  /** Wants exactly these rules: any other rule is removed. */
  #wantedOnly(target: readonly Rule[]): Map<string, Rule | undefined> {
    const { iptables, nft, guard } = this.#options.kernel;
    const wanted = new Map<string, Rule | undefined>();
    for (const plane of [this.#model.byId, iptables.rules, nft?.rules])
      for (const id of plane?.keys() ?? []) wanted.set(id, undefined);
    const known = [...this.#model.values(), ...target];
    for (const { id } of rulesOfUnknownElements(guard, known)) wanted.set(id, undefined);
    for (const rule of target) wanted.set(rule.id, rule);
    return wanted;
  }

  /** Returns the rule of an id from the model or a chain. */
  #standing(id: string): Rule | undefined {
    const { iptables, nft } = this.#options.kernel;
    return this.#model.get(id) ?? iptables.rules.get(id)?.rule ?? nft?.rules.get(id)?.rule;
  }

  /** Returns the rule of an id from any source. */
  #find(id: string): Rule | undefined {
    const filed = () =>
      this.#snapshots.ids.has(id) ? this.#snapshots.rules?.find(rule => rule.id === id) : undefined;
    const unknown = () =>
      rulesOfUnknownElements(this.#options.kernel.guard, this.#model.values()).find(rule => rule.id === id);
    return this.#standing(id) ?? filed() ?? unknown();
  }

  #deny(): DenyState {
    return this.#options.deny?.() ?? { kind: 'unknown' };
  }

  #stateNow(isDenyJudged: boolean): StoreState {
    return readState({
      loaded: this.#isLoaded,
      kernel: this.#options.kernel,
      model: this.#model.byId,
      snapshots: this.#snapshots,
      deny: this.#deny(),
      isDenyJudged,
      changes: this.#changes.state,
      lastError: this.#lastError,
    });
  }

  #note(message: string): void {
    const { now = () => new Date() } = this.#options;
    this.#lastError = { message, at: now() };
  }
}

const byId = (rules: readonly Rule[]) => new Map(rules.map(rule => [rule.id, rule]));
