import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Change } from '../../rule/change.ts';
import { KernelError } from '../kernel-tool.ts';
import type { RunTool } from '../nft-plane.ts';
import { proof } from '../nft-proof.ts';
import type { Command, Phase, Plane, Step } from '../plane.ts';
import type { FollowedPlanes } from './followed-planes.ts';
import type { Freshness } from './freshness.ts';
import type { KernelFollower } from './kernel-follower.ts';
import type { StandingProofs } from './standing-proofs.ts';

export interface ApplyChangesOptions {
  planes: FollowedPlanes;
  freshness: Freshness;
  follower: Pick<KernelFollower, 'hold' | 'release'>;
  proofs: StandingProofs;
  tool: (rules?: number) => RunTool;
  /** How long to wait for the announcement of a change before the rules are listed, in ms. */
  announcedMs: number;
  /** With at least this many rules, all planes change at the same time. */
  manyRules: number;
}

/** What remains to be done for some changes, in all planes. */
interface Work {
  of: readonly { plane: Plane; step: Step }[];
  commands: readonly Command[];
  scripts: readonly Phase<() => Iterable<string>>[];
  /** Whether the transaction leaves a proof, so that its many announcements can be read later. */
  isMany: boolean;
  /** Whether its announcements come after those of a large change that are still being read. */
  isBehindMany: boolean;
}

/** Makes changes in every plane and verifies that they happened. */
export class ChangesToPlanes {
  readonly #options: ApplyChangesOptions;

  constructor(options: ApplyChangesOptions) {
    this.#options = options;
  }

  /**
   * Makes those parts of the changes that are not done yet. After a failure some of them may have happened.
   *
   * @throws KernelError
   */
  async apply(changes: readonly Change[]): Promise<void> {
    const { planes, freshness, tool, announcedMs } = this.#options;
    await this.#untilPlaced(changes);
    const work = this.#plan(changes);
    const run = tool(changes.length);
    const toBeAnnounced = work.isMany ? await this.#doTogether(work, run) : await this.#doInTurn(work, run);
    const isProved = () => toBeAnnounced.every(phase => phase.isAnnounced());
    if (await freshness.announced(isProved, announcedMs + changes.length)) {
      for (const { step } of work.of) step.settle();
      const silent = new Set(
        work.of.flatMap(({ plane, step }) =>
          plane.isAnnounced || step.command === undefined ? [] : [plane],
        ),
      );
      if (silent.size === 0) return;
      await planes.look(plane => silent.has(plane));
    } else await planes.look();
    this.#expectDone(changes);
  }

  /** Waits for the handles of rules to remove that were added so recently that their handles have not been announced. */
  async #untilPlaced(changes: readonly Change[]): Promise<void> {
    const { planes, freshness, announcedMs } = this.#options;
    const going = changes.filter(({ kind }) => kind === 'remove');
    const canGo = (change: Change) =>
      planes.all.every(plane => !change[plane.name] || plane.canRemove(change.rule));
    // Called for each of thousands of announcements, so rules whose place is known are not checked again.
    let next = 0;
    const arePlaced = () => {
      for (let change = going[next]; change !== undefined && canGo(change); change = going[next]) next += 1;
      return next === going.length;
    };
    if (!(await freshness.announced(arePlaced, announcedMs + changes.length))) await planes.look();
  }

  #plan(changes: readonly Change[]): Work {
    const { planes, freshness, manyRules } = this.#options;
    const of = planes.all.map(plane => ({ plane, step: plane.plan(changes) }));
    return {
      of,
      commands: of.flatMap(({ step }) => step.command ?? []),
      scripts: of.flatMap(({ step }) => step.script ?? []),
      isMany: of.some(
        ({ step: { script, adds, removes } }) => script !== undefined && adds + removes >= manyRules,
      ),
      isBehindMany: freshness.isBehind,
    };
  }

  /**
   * Changes all planes at the same time. The planes were asked before whether they would accept the rules, which also
   * finds a program that cannot be run. Announcements are held back, because parsing thousands would take a processor
   * from the programs that make the changes.
   */
  async #doTogether(work: Work, run: RunTool): Promise<Phase<unknown>[]> {
    const { follower } = this.#options;
    follower.hold();
    // iptables begins: it is quicker, and would begin again were something committed before it.
    const running = [this.#runCommands(work, run), this.#runScript(work, run)];
    // What they are to do goes to them first.
    const expecting = nextTurn().then(() => expectAnnouncements(work));
    const [toBeAnnounced] = await Promise.all([allDone(running), expecting]).finally(() =>
      follower.release(),
    );
    return toBeAnnounced.flat();
  }

  async #doInTurn(work: Work, run: RunTool): Promise<Phase<unknown>[]> {
    expectAnnouncements(work);
    return [...(await this.#runCommands(work, run)), ...(await this.#runScript(work, run))];
  }

  /** @returns those of which an announcement is to tell that they are done; others have proved it themselves */
  async #runCommands({ commands, isBehindMany }: Work, run: RunTool): Promise<Phase<unknown>[]> {
    const { proofs } = this.#options;
    const toBeAnnounced: Phase<unknown>[] = [];
    for (const command of commands) {
      const { work, provedWork } = command;
      if (isBehindMany && provedWork !== undefined) {
        proofs.begin();
        await provedWork(run);
        await proofs.prove(run, 'iptables');
      } else {
        await work(run);
        toBeAnnounced.push(command);
      }
    }
    return toBeAnnounced;
  }

  /** Runs the nft transaction that all planes share: either all of it is in the kernel afterwards, or nothing. */
  async #runScript({ scripts, isMany, isBehindMany }: Work, run: RunTool): Promise<Phase<unknown>[]> {
    const { proofs, freshness } = this.#options;
    const [first] = scripts;
    if (first === undefined) return [];
    const isToProve = isMany || isBehindMany;
    if (isToProve) proofs.begin();
    await run('nft', ['-f', '-'], { parts: scriptOf(scripts, isToProve) });
    if (!isToProve) return [first];
    await proofs.prove(run, 'nft');
    freshness.isBehind = freshness.isWatched;
    return [];
  }

  /** @throws KernelError naming the program that did not do what it said */
  #expectDone(changes: readonly Change[]): void {
    const undone = this.#options.planes.all.find(plane => {
      const { adds, removes } = plane.plan(changes);
      return adds + removes > 0;
    });
    if (undone !== undefined) throw new KernelError(`${undone.program} said it was done, and it was not`);
  }
}

function* scriptOf(scripts: readonly Phase<() => Iterable<string>>[], isToProve: boolean): Generator<string> {
  if (isToProve) yield proof;
  for (const { work: lines } of scripts) yield* lines();
}

function expectAnnouncements({ of }: Work): void {
  for (const { step } of of) step.expect();
}

/** Waits for all of them, also when one has failed. @throws what the first of those did that failed */
async function allDone<T>(steps: readonly Promise<T>[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(steps);
  return outcomes.map(outcome => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}
