import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from '@coold/runtime';
import type { Change } from './change.ts';
import { guardName } from './guard.ts';
import type { HeldLines } from './held-lines.ts';
import { type Backend, readBackend, readCounters } from './iptables-plane.ts';
import { asKernelError, createTool, KernelError } from './kernel-tool.ts';
import { createLook } from './look.ts';
import type { Mirror } from './mirror.ts';
import type { NftEvent } from './nft-event.ts';
import type { RunTool } from './nft-plane.ts';
import { dropProof, isProved, proof, proofTable, sweepProof } from './nft-proof.ts';
import { bridgeTable } from './nft-rule.ts';
import { watchNft } from './nft-watch.ts';
import { createGuardSets, type GuardElements } from './planes/guard-sets.ts';
import { createIptablesLegacy } from './planes/iptables-legacy.ts';
import { createIptablesNft, type RoutedPlane } from './planes/iptables-nft.ts';
import { createNftBridge } from './planes/nft-bridge.ts';
import type { Phase, Plane, PlaneName, Step } from './planes/plane.ts';
import type { Rule } from './rule.ts';
import { intraChain } from './scaffold.ts';

/** Every plane of this host's packet filter: what stands in them, and the one way to change it. */
export interface Kernel {
  readonly backend: Backend | undefined;
  readonly iptables: Mirror;
  /** Undefined: a permissive host, which has no bridged plane (docs/contract.md §4). */
  readonly nft: Mirror | undefined;
  /** Undefined: a host without the guard's sets. */
  readonly guard: GuardElements | undefined;
  /** Whether what is known is what the kernel holds, as far as can be known without looking. */
  isFresh(): boolean;
  /** Whether changes are announced; without, only a listing tells. */
  isWatched(): boolean;
  /** Whether that is so of every plane. */
  isAnnounced(): boolean;
  /** Lists every plane. @throws KernelError */
  look(): Promise<void>;
  /** Lists the planes whose changes nobody announces. @throws KernelError */
  glance(): Promise<void>;
  /** Asks every plane whether it would take such rules; changes nothing. @throws KernelError */
  check(rules: readonly Rule[]): Promise<void>;
  /**
   * Does what is not done yet of some changes, the routed plane first, or all at once where there are many; and sees to it
   * that it is done: a tool that says it did is not believed. On failure some of it may have happened; `look`, and take it
   * back.
   *
   * @throws KernelError
   */
  apply(changes: readonly Change[]): Promise<void>;
  /** Removes what a large change has left to prove itself by; its callers need not wait for that. Never rejects. */
  tidy(): Promise<void>;
  /** The same by the one program that can still be run, however slow: for taking back. @throws KernelError */
  applyBy(program: Plane['program'], changes: readonly Change[]): Promise<void>;
  /** Whether a rule went from a plane all at once with the chain or table that it stood in. */
  hasVanished(plane: PlaneName, rule: Rule): boolean;
  /** Whether any did. */
  isAnyVanished(): boolean;
  forgetVanished(): void;
  /** What a rule has counted in the routed plane; its line in the other has no counter (docs/contract.md §4). */
  counters(id: string): Promise<{ packets: number; bytes: number } | undefined>;
  /** Follows what is announced until `stop`. `onState` is called whenever that begins, ends or fails. */
  follow(stop: AbortSignal, onState: () => void): Promise<void>;
}

export interface KernelOptions {
  chain: string;
  log: Logger;
  /** A tool is killed after this long, in ms, plus a little for each rule it is given. */
  toolTimeoutMs?: number;
  /** What was done is announced within this long, in ms, or looked for. */
  announcedMs?: number;
  /** From so many rules on, the time that the planes take one after the other is worth their going together. */
  manyRules?: number;
  /** Called when the chains that the default deny is made of or hooked into have changed. */
  onHooked?: () => void;
}

/** So many rules are given time at the first look. */
const unknownRules = 10_000;

export function createKernel(options: KernelOptions): Kernel {
  const {
    chain,
    log,
    toolTimeoutMs = 5000,
    announcedMs = 1000,
    manyRules = 500,
    onHooked = () => {},
  } = options;
  /** One file a backend; which of them this host has is read at each look. */
  const routedBy: Record<Backend, () => RoutedPlane> = {
    nf_tables: () => createIptablesNft(chain, manyRules),
    legacy: () => createIptablesLegacy(chain, manyRules),
  };
  let backend: Backend | undefined;
  let routed = routedBy.nf_tables();
  const bridged = createNftBridge(manyRules);
  const guard = createGuardSets();
  const planes = (): Plane[] => [routed, bridged, guard];
  let looked = false;
  let watched = false;
  let unseen = false;
  /** Events of the time in which a listing is made; they may be in it or not. */
  let during: NftEvent[] | undefined;
  /** A large change may have left its proof in the kernel. */
  let proofStands = false;
  /** A large change of ours, or of an earlier process, may have left it there without our knowing. */
  let proofLeft = true;
  let onChange = () => {};
  /** A large change is not announced to its end yet, which the going of its proof is. */
  let isBehind = false;
  let announcements: Pick<HeldLines, 'hold' | 'release'> | undefined;

  const tool = createTool(toolTimeoutMs);

  function take(event: NftEvent): void {
    if (event.kind === 'caught up') {
      isBehind = false;
      return;
    }
    const taken = planes().map(plane => plane.take(event));
    if (taken.includes('unclear')) unseen = true;
    // What is about no allow rule may be about the default deny around them.
    if (event.kind !== 'transaction' && !taken.includes('taken')) onHooked();
  }

  async function look(which: (plane: Plane) => boolean = () => true): Promise<void> {
    const isWhole = planes().every(which);
    if (isWhole) {
      [unseen, isBehind] = [false, false];
      if (proofStands) proofLeft = true;
      proofStands = false;
    }
    during = [];
    try {
      // How many there are is not known before the first look.
      const rules =
        backend === undefined ? unknownRules : routed.mirror.rules.size + (bridged.mirror?.rules.size ?? 0);
      const run = tool(rules);
      const found = await readBackend(run);
      if (proofLeft && isWhole) await sweepProof(run);
      if (isWhole) proofLeft = false;
      const next = found === backend ? routed : routedBy[found]();
      const listed = [next, bridged, guard].filter(which);
      const shared = createLook(run, id => routed.mirror.rules.get(id)?.rule);
      for (const adopt of await Promise.all(listed.map(plane => plane.read(shared)))) adopt();
      [backend, routed, looked] = [found, next, true];
    } catch (error) {
      looked = false;
      throw asKernelError(error);
    } finally {
      const missed = during;
      during = undefined;
      for (const event of missed) take(event);
    }
  }

  const isFresh = () => looked && !unseen && watched;

  /**
   * Whether something comes to be announced in time; not waited for once something else was announced that cannot be read.
   * While others are announced it may still be on its way: right behind thousands of rules that is sooner than a listing.
   *
   * @param waitMs of silence; five times that in all, and longer while what a large change did is still being announced
   */
  function announced(isSo: () => boolean, waitMs: number): Promise<boolean> {
    if (isSo()) return Promise.resolve(true);
    if (!watched || unseen) return Promise.resolve(false);
    return new Promise(resolve => {
      const end = (result: boolean) => {
        clearTimeout(timer);
        onChange = () => {};
        resolve(result);
      };
      const timer = setTimeout(() => end(false), waitMs);
      const latest = performance.now() + 4 * waitMs;
      onChange = () => {
        if (isSo()) end(true);
        else if (unseen) end(false);
        else if (isBehind || performance.now() < latest) timer.refresh();
      };
    });
  }

  /** Waits for the handles of rules that are to go and were added so shortly before that they are not told yet. */
  async function untilPlaced(changes: readonly Change[]): Promise<void> {
    const going = changes.filter(({ kind }) => kind === 'remove');
    const canGo = (change: Change) =>
      planes().every(plane => !change[plane.name] || plane.canRemove(change.rule));
    // Asked for each of thousands of announcements: what is placed is not looked at again.
    let next = 0;
    const placed = () => {
      for (let change = going[next]; change !== undefined && canGo(change); change = going[next]) next += 1;
      return next === going.length;
    };
    if (!(await announced(placed, announcedMs + changes.length))) await look();
  }

  /** Whether a large change of nft's planes happened. @throws KernelError when it did not */
  async function prove(run: RunTool): Promise<void> {
    if (!(await isProved(run))) throw new KernelError('nft said it was done, and it was not');
    [proofStands, proofLeft, isBehind] = [true, false, watched];
  }

  async function tidy(): Promise<void> {
    if (!proofStands) return;
    proofStands = false;
    await dropProof(tool()).catch((error: unknown) => {
      // A listing finds it, and tries again.
      [looked, proofLeft] = [false, true];
      log.warn({ err: error }, `table ${proofTable} cannot be removed; looking before the next change`);
    });
  }

  async function apply(changes: readonly Change[]): Promise<void> {
    await tidy();
    await untilPlaced(changes);
    const work = planes().map(plane => ({ plane, step: plane.plan(changes) }));
    const steps = work.map(({ step }) => step);
    const run = tool(changes.length);
    const scripts = steps.flatMap(({ script }) => script ?? []);
    const commands = steps.flatMap(({ command }) => command ?? []);
    const many = steps.some(
      ({ script, adds, removes }) => script !== undefined && adds + removes >= manyRules,
    );
    /** One for each transaction: what is announced of it first. It is all in the kernel then, or none of it. */
    const proofs: Phase<unknown>[] = [];
    function* script(): Generator<string> {
      if (many) yield proof;
      for (const { work: lines } of scripts) yield* lines();
    }
    function expectAnnouncements(): void {
      for (const step of steps) step.expect();
    }
    async function runCommands(): Promise<void> {
      for (const command of commands) {
        await command.work(run);
        proofs.push(command);
      }
    }
    async function runScript(): Promise<void> {
      const [first] = scripts;
      if (first === undefined) return;
      if (many)
        proofLeft = true; // until it is known how that ended
      else proofs.push(first);
      await run('nft', ['-f', '-'], { parts: script() });
      if (many) await prove(run);
    }
    if (many) {
      // The planes were asked beforehand whether they would take so many; that is where a program that cannot be run is found.
      // Thousands of announcements would take a core from what makes them.
      announcements?.hold();
      // iptables begins: it is quicker, and would begin again were something committed before it.
      const running = [runCommands(), runScript()];
      // What they are to do goes to them first.
      const meanwhile = nextTurn().then(expectAnnouncements);
      await allDone([...running, meanwhile]).finally(() => announcements?.release());
    } else {
      expectAnnouncements();
      await runCommands();
      await runScript();
    }
    const isProvedBy = () => proofs.every(phase => phase.isAnnounced());
    if (await announced(isProvedBy, announcedMs + changes.length)) {
      for (const step of steps) step.settle();
      const silent = new Set(
        work.flatMap(({ plane, step }) => (plane.isAnnounced || step.command === undefined ? [] : [plane])),
      );
      if (silent.size === 0) return;
      await look(plane => silent.has(plane));
    } else await look();
    const undone = planes().find(plane => {
      const { adds, removes } = plane.plan(changes);
      return adds + removes > 0;
    });
    if (undone !== undefined) throw new KernelError(`${undone.program} said it was done, and it was not`);
  }

  /** By planes of its own, which begin with a listing: what is known of the others may be anything. */
  async function applyBy(program: Plane['program'], changes: readonly Change[]): Promise<void> {
    const run = tool(changes.length);
    const some: Plane[] =
      program === 'iptables'
        ? [createIptablesLegacy(chain, manyRules)]
        : [createNftBridge(manyRules), createGuardSets()];
    const steps: Step[] = [];
    const shared = createLook(run);
    for (const plane of some) {
      (await plane.read(shared))();
      steps.push(plane.plan(changes));
    }
    for (const { command } of steps) await command?.work(run);
    const parts = steps.flatMap(({ script }) => (script === undefined ? [] : [...script.work()]));
    if (parts.length > 0) await run('nft', ['-f', '-'], { parts });
  }

  return {
    get backend() {
      return backend;
    },
    get iptables() {
      return routed.mirror;
    },
    get nft() {
      return bridged.mirror;
    },
    get guard() {
      return guard.elements;
    },
    isFresh,
    isWatched: () => watched,
    isAnnounced: () => watched && planes().every(plane => plane.isAnnounced),
    look: () => look(),
    async glance() {
      if (planes().some(plane => !plane.isAnnounced)) await look(plane => !plane.isAnnounced);
    },
    apply,
    tidy,
    async applyBy(program, changes) {
      looked = false;
      await applyBy(program, changes).catch((error: unknown) => {
        throw asKernelError(error);
      });
    },
    async check(rules) {
      // Rules differ in their addresses only; one of each form stands for all.
      const forms = new Map<string, Rule>();
      for (const rule of rules) forms.set(rule.port > 0 ? `${rule.proto} port` : rule.proto, rule);
      const run = tool();
      const trials = planes().map(plane => plane.trial([...forms.values()]));
      const parts = trials.flatMap(({ script }) => [...script]);
      await Promise.all([
        ...trials.map(({ command }) => command?.(run)),
        parts.length === 0 ? undefined : run('nft', ['-c', '-f', '-'], { parts }),
      ]);
    },
    hasVanished: (name, rule) => planes().some(plane => plane.name === name && plane.hasVanished(rule)),
    isAnyVanished: () => planes().some(plane => plane.isAnyVanished()),
    forgetVanished() {
      for (const plane of planes()) plane.forgetVanished();
    },
    counters: id => readCounters(tool(routed.mirror.rules.size), chain, id),
    follow: (stop, onState) =>
      watchNft(
        {
          names: [chain, bridgeTable, guardName],
          elsewhere: ['FORWARD', 'POSTROUTING', intraChain],
          log,
          onEvent(event) {
            if (during === undefined) take(event);
            else during.push(event);
            onChange();
          },
          onOutput(output) {
            announcements = output;
          },
          onState(up) {
            watched = up;
            // What happened in between was announced to nobody.
            [unseen, isBehind] = [true, false];
            onChange();
            onState();
          },
        },
        stop,
      ),
  };
}

/** Waits for all of them, also when one has failed. @throws what the first of those did that failed */
async function allDone(steps: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(steps))
    if (outcome.status === 'rejected') throw outcome.reason;
}
