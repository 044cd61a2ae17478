import type { Logger } from '@coold/runtime';
import type { Change } from '../../rule/change.ts';
import type { Rule } from '../../rule/rule.ts';
import type { GuardElements } from '../guard-mirror.ts';
import { createGuardSets } from '../guard-sets.ts';
import { createIptablesLegacy } from '../iptables-legacy.ts';
import { type Backend, readCounters } from '../iptables-plane.ts';
import { asKernelError, createTool } from '../kernel-tool.ts';
import { createLook } from '../look.ts';
import type { Mirror } from '../mirror.ts';
import { createNftBridge } from '../nft-bridge.ts';
import type { RunTool } from '../nft-plane.ts';
import type { Plane, PlaneName, Step } from '../plane.ts';
import { ChangesToPlanes } from './changes-to-planes.ts';
import { FollowedPlanes } from './followed-planes.ts';
import { Freshness } from './freshness.ts';
import { KernelFollower } from './kernel-follower.ts';
import { StandingProofs } from './standing-proofs.ts';
import type { Touched } from './touched.ts';

/** Every plane of this host's packet filter: its rules, and the only way to change them. */
export interface Kernel {
  readonly backend: Backend | undefined;
  readonly iptables: Mirror;
  /** Undefined on a permissive host, which has no bridged plane (docs/contract.md §4). */
  readonly nft: Mirror | undefined;
  /** Undefined on a host without the guard's sets. */
  readonly guard: GuardElements | undefined;
  /** Whether what is known matches the kernel, as far as that can be told without listing. */
  isFresh(): boolean;
  /** Whether changes are announced; otherwise only a listing tells. */
  isWatched(): boolean;
  /** Whether the changes of every plane are announced. */
  isAnnounced(): boolean;
  /** Lists every plane. @throws KernelError */
  look(): Promise<void>;
  /**
   * Lists every plane when what is known may be out of date. Waits first for announcements that are just beginning.
   *
   * @throws KernelError
   */
  lookIfOld(): Promise<void>;
  /** Lists the planes whose changes are not announced. @throws KernelError */
  glance(): Promise<void>;
  /** Asks every plane whether it would accept such rules, without changing anything. @throws KernelError */
  check(rules: readonly Rule[]): Promise<void>;
  /**
   * Makes those parts of some changes that are not done yet: the routed plane first, or all planes at once for many
   * rules. Verifies the result, because a tool's exit code proves nothing. After a failure some changes may have
   * happened; call `look` and undo them.
   *
   * @throws KernelError
   */
  apply(changes: readonly Change[]): Promise<void>;
  /** Removes the proofs that large changes leave. Callers need not wait for it. Never rejects. */
  tidy(): Promise<void>;
  /**
   * Makes changes with the only program that can still be run, however slow, to undo a failed change.
   *
   * @throws KernelError
   */
  applyBy(program: Plane['program'], changes: readonly Change[]): Promise<void>;
  /** Whether a rule disappeared from a plane together with its chain or table. */
  hasVanished(plane: PlaneName, rule: Rule): boolean;
  /** Whether any rule did. */
  isAnyVanished(): boolean;
  forgetVanished(): void;
  /** Returns a rule's counters in the routed plane; its line in the bridged plane has none (docs/contract.md §4). */
  counters(id: string): Promise<{ packets: number; bytes: number } | undefined>;
  /**
   * Follows the kernel's announcements until `stop`.
   *
   * @param onReady called whenever a listing is valid from then on: possibly before anything is announced, once it is
   *   known whether such an early listing is valid, and when following ends or fails
   */
  follow(stop: AbortSignal, onReady: () => void): Promise<void>;
}

export interface KernelOptions {
  chain: string;
  log: Logger;
  /** A tool is killed after this many ms, plus a little for each rule it is given. */
  toolTimeoutMs?: number;
  /** How long to wait for the announcement of a change before the rules are listed, in ms. */
  announcedMs?: number;
  /** With at least this many rules, changing the planes at the same time is worth its cost. */
  manyRules?: number;
  /** Called when something that the default deny consists of, or is hooked into, has changed. */
  onHooked?: (touched: Touched) => void;
}

export function createKernel(options: KernelOptions): Kernel {
  const {
    chain,
    log,
    toolTimeoutMs = 5000,
    announcedMs = 1000,
    manyRules = 500,
    onHooked = () => {},
  } = options;
  const tool = createTool(toolTimeoutMs);
  const freshness = new Freshness();
  const proofs = new StandingProofs(log);
  const planes = new FollowedPlanes({ chain, manyRules, tool, freshness, proofs, onHooked });
  const follower = new KernelFollower({ chain, planes, freshness, tool, log, onHooked });
  const toPlanes = new ChangesToPlanes({ planes, freshness, follower, proofs, tool, announcedMs, manyRules });

  async function tidy(): Promise<void> {
    if (!(await proofs.tidy(tool()))) freshness.isLooked = false;
  }

  return {
    get backend() {
      return planes.backend;
    },
    get iptables() {
      return planes.routed.mirror;
    },
    get nft() {
      return planes.bridged.mirror;
    },
    get guard() {
      return planes.guard.elements;
    },
    isFresh: () => freshness.isFresh,
    isWatched: () => freshness.isWatched,
    isAnnounced: () => freshness.isWatched && planes.all.every(plane => plane.isAnnounced),
    look: () => planes.look(),
    async lookIfOld() {
      if (!freshness.isFresh) await follower.begun();
      if (!freshness.isFresh) await planes.look();
    },
    async glance() {
      if (planes.all.some(plane => !plane.isAnnounced)) await planes.look(plane => !plane.isAnnounced);
    },
    async apply(changes) {
      await tidy();
      await toPlanes.apply(changes);
    },
    tidy,
    async applyBy(program, changes) {
      freshness.isLooked = false;
      await applyAnew(program, changes, { chain, manyRules, run: tool(changes.length) }).catch(
        (error: unknown) => {
          throw asKernelError(error);
        },
      );
    },
    check: rules => askWhetherTaken(planes.all, rules, tool()),
    hasVanished: (name, rule) => planes.all.some(plane => plane.name === name && plane.hasVanished(rule)),
    isAnyVanished: () => planes.all.some(plane => plane.isAnyVanished()),
    forgetVanished() {
      for (const plane of planes.all) plane.forgetVanished();
    },
    counters: id => readCounters(tool(planes.routed.mirror.rules.size), chain, id),
    follow: (stop, onReady) => follower.follow(stop, onReady),
  };
}

/**
 * Makes changes with new planes that begin with a listing, because what is known of the others may be wrong.
 *
 * @throws Error
 */
async function applyAnew(
  program: Plane['program'],
  changes: readonly Change[],
  { chain, manyRules, run }: { chain: string; manyRules: number; run: RunTool },
): Promise<void> {
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

/** Asks every plane whether it would accept such rules, without changing anything. @throws KernelError */
async function askWhetherTaken(
  planes: readonly Plane[],
  rules: readonly Rule[],
  run: RunTool,
): Promise<void> {
  // Rules of one form differ only in their addresses, so one of each form stands for all.
  const forms = new Map<string, Rule>();
  for (const rule of rules) forms.set(rule.port > 0 ? `${rule.proto} port` : rule.proto, rule);
  const trials = planes.map(plane => plane.trial([...forms.values()]));
  const parts = trials.flatMap(({ script }) => [...script]);
  await Promise.all([
    ...trials.map(({ command }) => command?.(run)),
    parts.length === 0 ? undefined : run('nft', ['-c', '-f', '-'], { parts }),
  ]);
}
