import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from '@coold/runtime';
import { type Change, inverse } from './change.ts';
import type { DenyState } from './deny-state.ts';
import { createFiled } from './filed.ts';
import { asFirewallError, FirewallError, messageOf } from './firewall-error.ts';
import type { Journal, Leftover } from './journal.ts';
import type { Kernel } from './kernel.ts';
import { KernelError } from './kernel-tool.ts';
import { planChanges } from './plan.ts';
import { goneAtOnce, missingInNewGuard } from './put-back.ts';
import { compareRules, type Rule } from './rule.ts';
import { createSerialQueue, type Job } from './serial-queue.ts';
import type { SnapshotFiles } from './snapshot-files.ts';
import { readState, type StoreState } from './store-state.ts';
import { strangers } from './strangers.ts';

/** One wish: that a rule stands, or that none of an id does. */
export type Edit = { kind: 'allow'; rule: Rule } | { kind: 'revoke'; id: string };

export interface Counted {
  added: number;
  removed: number;
  total: number;
}

/** The allow rules of this host: in every plane and both files, or in none (docs/architecture.md, the firewall flow). */
export interface Store {
  /** All of them or none. @throws FirewallError */
  edit(edits: readonly Edit[], options?: { alone?: boolean }): Promise<Counted>;
  /** Brings every plane to what the files say. @throws FirewallError, also while nothing is denied that should be */
  reconcile(): Promise<void>;
  /**
   * Brings back what went all at once with the chain or table that it stood in, and nothing else: called when the default
   * deny was put back after somebody emptied the packet filter. Never rejects.
   */
  bringBack(): Promise<void>;
  /** Resolves once the kernel was looked at where what is known may be old. Never rejects. */
  refresh(): Promise<void>;
  /** Resolves once the kernel was read, or that was tried: right after a start, callers rather wait than are refused. */
  whenRead(): Promise<void>;
  /** @throws FirewallError 503 while the kernel could not be read yet */
  rules(): readonly Rule[];
  rule(id: string): Rule | undefined;
  state(): StoreState;
  /** Reads kernel, files and journal, and settles what an earlier process left; then serves until `stop`. */
  run(stop: AbortSignal, onLoaded: () => void): Promise<void>;
}

export interface StoreOptions {
  chain: string;
  kernel: Kernel;
  files: SnapshotFiles;
  journal: Journal;
  log: Logger;
  /** How the default deny is that the rules are exceptions to. */
  deny?: () => DenyState;
  /** Puts a default deny back that is missing. @throws Error */
  repairDeny?: () => Promise<void>;
  now?: () => Date;
  /** Between two tries to read the kernel or to settle what failed, in ms. */
  retryMs?: number;
}

type StoreJob = Job &
  ({ kind: 'edit'; edits: readonly Edit[] } | { kind: 'reconcile' | 'refresh' | 'bring back' }) & {
    done(counted: Counted): void;
  };

export function createStore(options: StoreOptions): Store {
  const { chain, kernel, files, journal, log, now = () => new Date(), retryMs = 2000 } = options;
  const { deny = () => ({ kind: 'unknown' as const }), repairDeny = () => Promise.resolve() } = options;
  const queue = createSerialQueue<StoreJob>();
  /** What coold answers for; what stood in the kernel when it began, and what was asked of it since. */
  const model = new Map<string, Rule>();
  let sorted: readonly Rule[] | undefined;
  const filed = createFiled(files, chain, log);
  let loaded = false;
  let unfinished: Leftover | undefined;
  let lastError: StoreState['lastError'];
  let warnedPermissive = false;

  function enqueue(
    what: { kind: 'edit'; edits: readonly Edit[] } | { kind: 'reconcile' | 'refresh' | 'bring back' },
    group: string | undefined,
  ): Promise<Counted> {
    return new Promise((done, fail) => {
      queue.push({ ...what, group, size: what.kind === 'edit' ? what.edits.length : 0, done, fail });
    });
  }

  const standing = (id: string) =>
    model.get(id) ?? kernel.iptables.rules.get(id)?.rule ?? kernel.nft?.rules.get(id)?.rule;

  /** Where the rule of an id is known at all. */
  const find = (id: string) =>
    standing(id) ??
    (filed.ids.has(id) ? filed.rules?.find(rule => rule.id === id) : undefined) ??
    strangers(kernel.guard, model.values()).find(rule => rule.id === id);

  const plan = (wanted: ReadonlyMap<string, Rule | undefined>) =>
    planChanges(
      wanted,
      {
        ...{ iptables: kernel.iptables, nft: kernel.nft, guard: kernel.guard },
        files: filed.rules === undefined ? model : filed.ids,
      },
      find,
      model.values(),
    );

  /**
   * Does some changes in every plane and both files, or in none: first everything that can fail without changing the
   * kernel (room on the disk above all, and whether it would take many rules), then the journal says what is coming, then
   * the kernel, then the files are seen.
   */
  async function commit(changes: readonly Change[], rewrite = false): Promise<void> {
    const writes = rewrite || changes.some(({ file }) => file);
    if (changes.length === 0 && !writes) return;
    const adds = changes.filter(change => change.kind === 'add' && inKernel(change));
    const checking = adds.length > 1 ? kernel.check(adds.map(({ rule }) => rule)) : undefined;
    const staging = writes ? filed.stage(changes, model.values()) : undefined;
    const [staged, ...others] = await Promise.allSettled([staging, journal.begin(changes), checking]);
    const failed = [staged, ...others].find(outcome => outcome.status === 'rejected');
    if (failed !== undefined || staged.status === 'rejected') {
      if (staged.status === 'fulfilled') await staged.value?.discard().catch(() => {});
      await journal.forget().catch((error: unknown) => {
        // A restart would complete what was refused.
        unfinished = { direction: 'undo', changes: [...changes] };
        log.error(
          { err: error },
          'the journal of a change that was refused cannot be removed; trying again soon',
        );
      });
      throw new FirewallError(503, `nothing has changed: ${messageOf(failed?.reason)}`, failed?.reason);
    }
    try {
      await kernel.apply(changes);
      await staged.value?.commit();
    } catch (error) {
      await staged.value?.discard().catch(() => {});
      await takeBack(changes, error);
    }
    await journal.finish().catch((error: unknown) => {
      // It is done, and completing it again changes nothing; the next change replaces it.
      log.warn({ err: error }, 'the journal of a change that is done cannot be removed');
    });
  }

  /** @throws FirewallError always: its callers' change did not happen */
  async function takeBack(changes: readonly Change[], cause: unknown): Promise<never> {
    const why = messageOf(cause);
    unfinished = { direction: 'undo', changes: [...changes] };
    // A disk that fails is no reason to leave in the kernel what is refused.
    const kept = await journal.giveUp().then(
      () => undefined,
      (error: unknown) => `its journal cannot say so yet: ${messageOf(error)}`,
    );
    let left: string | undefined;
    try {
      left = (await takeBackNow(changes.map(inverse), cause)) ?? kept;
    } catch (error) {
      log.error(
        { err: error, rules: changes.length },
        'a failed change of the firewall could not be taken back; trying again soon, before the next one, and at start',
      );
      left = `it could not be taken back yet: ${messageOf(error)}`;
    }
    throw new FirewallError(
      503,
      unfinished === undefined || left === undefined ? `nothing has changed: ${why}` : `${why}; ${left}`,
      cause,
    );
  }

  /** @returns what is still to be taken back, in words. @throws Error when nothing could be */
  async function takeBackNow(changes: readonly Change[], cause: unknown): Promise<string | undefined> {
    // A program that is not asked again while callers wait.
    const hung = cause instanceof KernelError ? cause.unavailable : undefined;
    if (hung === undefined)
      try {
        await settle();
        return undefined;
      } catch (error) {
        log.warn(
          { err: error },
          'a failed change could not be taken back together; taking it back from iptables',
        );
        await kernel.applyBy('iptables', changes);
        return `all of it could not be taken back yet: ${messageOf(error)}`;
      }
    // What the other program did is taken back; everything is looked at as soon as that is possible.
    await kernel.applyBy(hung === 'nft' ? 'iptables' : 'nft', changes);
    log.warn({ program: hung, rules: changes.length }, 'it is unknown what that program did; looking soon');
    return cause instanceof KernelError && cause.wasKilled
      ? `what ${hung} did of it is unknown, and is taken back as soon as it answers`
      : undefined;
  }

  /** Takes back what failed before and could not be taken back then. @throws Error when it still cannot */
  async function settle(): Promise<void> {
    if (unfinished === undefined) return;
    const changes = unfinished.changes.map(inverse);
    await kernel.look();
    await kernel.apply(changes);
    if (changes.some(({ file }) => file)) await filed.write(changes, model.values());
    await journal.forget();
    unfinished = undefined;
    log.info({ rules: changes.length }, 'a failed change of the firewall was taken back');
  }

  /** Completes what an earlier process was killed in, or takes it back where that is not possible. */
  async function recover(): Promise<void> {
    let left: Leftover | undefined;
    try {
      left = await journal.read();
    } catch (error) {
      const aside = await journal.putAside();
      note(`the journal cannot be read, and is kept as ${aside}: ${messageOf(error)}`);
      log.error(
        { err: error, aside },
        'the journal of the firewall cannot be read; it is put aside, not followed',
      );
      return;
    }
    if (left === undefined) return;
    const { direction, changes } = left;
    log.warn({ rules: changes.length, direction }, 'an earlier coold ended within a change of the firewall');
    if (direction === 'complete')
      try {
        await kernel.apply(changes);
        if (changes.some(({ file }) => file)) await filed.write(changes, model.values());
        await journal.forget();
        log.info({ rules: changes.length }, 'that change is complete now');
        return;
      } catch (error) {
        log.warn({ err: error }, 'it cannot be completed; taking it back');
        await journal.giveUp();
      }
    unfinished = { direction: 'undo', changes };
    await settle();
  }

  /** Reads everything there is. @throws Error when kernel or disk cannot be read */
  async function load(): Promise<void> {
    await kernel.look();
    await filed.read(standing);
    // What its callers were never told is settled before anybody is told what stands.
    const answerFor = () => {
      model.clear();
      for (const plane of [kernel.nft, kernel.iptables])
        for (const [id, { rule }] of plane?.rules ?? []) model.set(id, rule);
      sorted = undefined;
    };
    answerFor();
    try {
      await recover();
    } finally {
      answerFor();
    }
    await fillNewGuard();
    loaded = true;
    const { rules, drift } = store.state();
    const counts = Object.entries(drift).map(([name, ids]) => [name, (ids as string[]).length] as const);
    log.info({ ...rules, mode: store.state().mode, backend: kernel.backend }, 'the firewall is read');
    if (counts.some(([, count]) => count > 0))
      log.warn(
        Object.fromEntries(counts),
        'kernel and snapshots differ; nothing is opened or closed for that: firewall.reconcile decides',
      );
  }

  /** Before anything is changed: what is known is true, and nothing is left half done. */
  async function prepare(): Promise<void> {
    if (!loaded) await load();
    if (unfinished !== undefined) await settle();
    if (!kernel.isFresh()) await kernel.look();
    await filed.readChanged(standing);
    if (kernel.nft === undefined && deny().kind !== 'broken' && !warnedPermissive) {
      warnedPermissive = true;
      log.warn(
        'this host has no firewall scaffold: rules go to iptables and the snapshots only, and nothing is denied',
      );
    }
  }

  async function runEdits(jobs: readonly (StoreJob & { kind: 'edit' })[]): Promise<void> {
    const wanted = new Map<string, Rule | undefined>();
    for (const { edits } of jobs)
      for (const edit of edits)
        if (edit.kind === 'allow') wanted.set(edit.rule.id, edit.rule);
        else wanted.set(edit.id, undefined);
    await commit(plan(wanted));
    for (const job of jobs) job.done(count(job.edits));
  }

  /** Brings the model to what was committed, and counts what that was. */
  function count(edits: readonly Edit[]): Counted {
    const before = new Map<string, boolean>();
    for (const edit of edits) {
      const id = edit.kind === 'allow' ? edit.rule.id : edit.id;
      if (!before.has(id)) before.set(id, model.has(id));
      if (edit.kind === 'revoke') model.delete(id);
      else if (!model.has(id)) model.set(id, edit.rule);
    }
    sorted = undefined;
    const counted = { added: 0, removed: 0, total: model.size };
    for (const [id, was] of before) if (was !== model.has(id)) counted[was ? 'removed' : 'added'] += 1;
    return counted;
  }

  async function runReconcile(): Promise<void> {
    // Rules that stand as they should say nothing while what they are exceptions to is missing.
    if (deny().kind === 'broken') await repairDeny().catch(() => {}); // its state says why
    const state = deny();
    if (state.kind === 'broken')
      throw new FirewallError(503, `the default deny is not in place: ${state.why}`);
    await kernel.look();
    await filed.read(standing);
    if (filed.rules === undefined && filed.problem !== undefined)
      throw new FirewallError(409, `the snapshots cannot be read: ${filed.problem}`);
    const target = filed.rules ?? [...model.values()];
    const wanted = new Map<string, Rule | undefined>();
    for (const plane of [model, kernel.iptables.rules, kernel.nft?.rules])
      for (const id of plane?.keys() ?? []) wanted.set(id, undefined);
    for (const { id } of strangers(kernel.guard, [...model.values(), ...target])) wanted.set(id, undefined);
    for (const rule of target) wanted.set(rule.id, rule);
    const changes = plan(wanted);
    await commit(changes, filed.problem !== undefined || filed.rules === undefined);
    model.clear();
    for (const rule of target) model.set(rule.id, rule);
    sorted = undefined;
    kernel.forgetVanished();
    log.info({ changed: changes.length, rules: model.size }, 'every plane is what the snapshots say');
  }

  async function runBringBack(): Promise<void> {
    await kernel.look();
    const changes = plan(byId(goneAtOnce(model.values(), filed.ids, kernel)));
    await commit(changes);
    kernel.forgetVanished();
    if (changes.length > 0)
      log.warn(
        { rules: changes.length },
        'somebody emptied the packet filter; the allow rules that it had are back, as the snapshots say',
      );
  }

  async function fillNewGuard(): Promise<void> {
    const wanted = byId(missingInNewGuard(model.values(), filed.ids, kernel));
    if (wanted.size === 0) return;
    await commit(plan(wanted));
    log.info({ rules: wanted.size }, 'the guard is new here, and has the rules that stand in both planes');
  }

  function note(message: string): void {
    lastError = { message, at: now() };
  }

  async function work(jobs: readonly StoreJob[]): Promise<void> {
    const [first] = jobs;
    if (first === undefined) return;
    try {
      if (first.kind === 'refresh' && loaded && unfinished === undefined) {
        if (!kernel.isFresh()) await kernel.look();
        else await kernel.glance();
      } else await prepare();
      if (first.kind === 'edit') await runEdits(jobs.filter(job => job.kind === 'edit'));
      else if (first.kind === 'reconcile') await runReconcile();
      else if (first.kind === 'bring back') await runBringBack();
      for (const job of jobs) job.done({ added: 0, removed: 0, total: model.size });
    } catch (error) {
      const failure = asFirewallError(error);
      note(failure.message);
      if (first.kind !== 'refresh')
        log.error({ err: error, calls: jobs.length }, 'the firewall was not changed; its callers are told');
      for (const job of jobs) job.fail(failure);
    }
    // Their answers go out first.
    await nextTurn();
    await kernel.tidy();
  }

  const store: Store = {
    edit: (edits, { alone = false } = {}) => enqueue({ kind: 'edit', edits }, alone ? undefined : 'edits'),
    async reconcile() {
      await enqueue({ kind: 'reconcile' }, undefined);
    },
    async bringBack() {
      await enqueue({ kind: 'bring back' }, undefined).catch(() => {});
    },
    async refresh() {
      await enqueue({ kind: 'refresh' }, 'refresh').catch(() => {});
    },
    whenRead: async () => {
      if (!loaded) await store.refresh();
    },
    rules() {
      if (!loaded)
        throw new FirewallError(
          503,
          `the firewall could not be read yet: ${lastError?.message ?? 'it is being read'}`,
        );
      sorted ??= [...model.values()].sort(compareRules);
      return sorted;
    },
    rule: id => model.get(id),
    state: () => readState({ loaded, kernel, model, filed, deny: deny(), unfinished, lastError }),
    async run(stop, onLoaded) {
      const firstLook = load().catch((error: unknown) => {
        note(messageOf(error));
        log.error({ err: error, again_in_ms: retryMs }, 'the firewall cannot be read; trying again');
      });
      await firstLook;
      await kernel.tidy();
      onLoaded();
      let tick = 0;
      const again = setInterval(() => {
        tick += 1;
        const behind = !loaded || unfinished !== undefined || (kernel.isWatched() && !kernel.isFresh());
        // Where nothing is announced, only looking tells; that is work for the host, so it is done less often.
        if (behind || tick % 10 === 0) void store.refresh();
      }, retryMs);
      await queue.run(work, stop);
      clearInterval(again);
    },
  };
  return store;
}

const byId = (rules: readonly Rule[]) => new Map(rules.map(rule => [rule.id, rule]));

const inKernel = ({ iptables, nft, guard }: Change) => iptables || nft || guard;
