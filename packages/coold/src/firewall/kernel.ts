import type { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from '@coold/runtime';
import { createAwaited } from './awaited.ts';
import type { Change } from './change.ts';
import { changeBridgedAlone, changeRoutedAlone } from './change-alone.ts';
import {
  type Backend,
  changeRouted,
  checkRouted,
  flowKey,
  listRouted,
  placeOf,
  readBackend,
  readCounters,
} from './iptables-plane.ts';
import { asKernelError, createTool, KernelError } from './kernel-tool.ts';
import { createMirror, type Mirror, type Place } from './mirror.ts';
import type { NftEvent, RulePlace } from './nft-event.ts';
import { bridgeAdditions, deletions, listBridge, type RunTool } from './nft-plane.ts';
import { dropProof, isProved, proof, proofTable } from './nft-proof.ts';
import { bridgeChain, bridgePlace, bridgeTable } from './nft-rule.ts';
import { watchNft } from './nft-watch.ts';
import { outstanding } from './outstanding.ts';
import { commentOf, type ListedFlow, type Rule, recognise } from './rule.ts';

/** Both planes of this host's packet filter: what stands in their allow chains, and the one way to change it. */
export interface Kernel {
  readonly backend: Backend | undefined;
  readonly iptables: Mirror;
  /** Undefined: a permissive host, which has no bridged plane (docs/contract.md §4). */
  readonly nft: Mirror | undefined;
  /** Whether both mirrors are what the kernel holds, as far as can be known without looking. */
  isFresh(): boolean;
  /** Whether changes are announced; without, only a listing tells. */
  isWatched(): boolean;
  /** Lists both planes. @throws KernelError */
  look(): Promise<void>;
  /** Lists what nobody announces: the routed plane of iptables-legacy. @throws KernelError */
  glance(): Promise<void>;
  /** Asks both planes whether they would take such rules; changes nothing. @throws KernelError */
  check(rules: readonly Rule[]): Promise<void>;
  /**
   * Does what is not done yet of some changes, the routed plane first, or both at once where there are many; and sees to it
   * that it is done: a tool that says it did is not believed. On failure some of it may have happened; `look`, and take it
   * back.
   *
   * @throws KernelError
   */
  apply(changes: readonly Change[]): Promise<void>;
  /** Removes what a large change has left to prove itself by; nobody need wait for that. Never rejects. */
  tidy(): Promise<void>;
  /** The same in one plane by the program that can still be run, however slow: for taking back. @throws KernelError */
  applyAlone(plane: 'iptables' | 'nft', changes: readonly Change[]): Promise<void>;
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
  /** From so many rules on, the time that both planes take one after the other is worth their going together. */
  manyRules?: number;
  /** Called when the chains that the default deny is hooked into have changed. */
  onHooked?: () => void;
}

const isHandle = (place: Place) => typeof place === 'number';

export function createKernel(options: KernelOptions): Kernel {
  const {
    chain,
    log,
    toolTimeoutMs = 5000,
    announcedMs = 1000,
    manyRules = 500,
    onHooked = () => {},
  } = options;
  let backend: Backend | undefined;
  let iptables = createMirror(false);
  let nft: Mirror | undefined;
  let looked = false;
  let watched = false;
  let unseen = false;
  /** Events of the time in which a listing is made; they may be in it or not. */
  let during: NftEvent[] | undefined;
  /** Rules that we are adding to the routed plane: what is announced of them lacks the comment. */
  const awaitedInIptables = createAwaited(flowKey);
  /** Rules that we are adding to the bridged plane. */
  const awaitedInNft = createAwaited(commentOf);
  /** A large change may have left its proof in the kernel. */
  let proofStands = false;
  /** A large change of ours, or of an earlier process, may have left it there without our knowing. */
  let proofLeft = true;
  let onChange = () => {};
  let announcements: Readable | undefined;

  const tool = createTool(toolTimeoutMs);

  function take(event: NftEvent): void {
    switch (event.kind) {
      case 'elsewhere':
        onHooked();
        return;
      case 'gap':
      case 'structure':
        unseen = true;
        return;
      case 'rule deleted':
        mirrorOf(event.place)?.drop(event.place.handle);
        return;
      case 'rule added': {
        const { place, flow } = event;
        const mirror = mirrorOf(place);
        if (mirror === undefined || mirror.holds(place.handle)) return;
        const rule =
          flow === undefined
            ? undefined
            : mirror === nft
              ? bridgedRule(flow)
              : awaitedInIptables.take(flowKey(flow));
        if (rule === undefined) unseen = true;
        else mirror.put(place.handle, { kind: 'rule', rule });
      }
    }
  }

  /** The rule of ours that was announced; the object of those that we are adding, for there are thousands. */
  function bridgedRule(flow: ListedFlow): Rule | undefined {
    const added = awaitedInNft.take(flow.comment);
    return added !== undefined && flowKey(added) === flowKey(flow) ? added : recognise(flow);
  }

  function mirrorOf({ family, table, chain: name }: RulePlace) {
    if (family === 'bridge' && table === bridgeTable && name === bridgeChain) {
      if (nft === undefined) unseen = true;
      return nft;
    }
    return backend === 'nf_tables' && family === 'ip' && table === 'filter' && name === chain
      ? iptables
      : undefined;
  }

  async function look(planes: 'both' | 'routed' = 'both'): Promise<void> {
    if (planes === 'both') {
      unseen = false;
      awaitedInIptables.clear();
      awaitedInNft.clear();
      if (proofStands) proofLeft = true;
      proofStands = false;
    }
    during = [];
    try {
      const run = tool(iptables.rules.size + (nft?.rules.size ?? 0));
      const found = await readBackend(run);
      const [routed, bridged] = await Promise.all([
        listRouted(run, chain, found),
        planes === 'both' ? listBridge(run, proofLeft) : nft,
      ]);
      if (planes === 'both') proofLeft = false;
      [backend, iptables, nft, looked] = [found, routed, bridged, true];
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
   * @param waitMs of silence; five times that in all
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
        else if (performance.now() < latest) timer.refresh();
      };
    });
  }

  const isPlaced = (mirror: Mirror | undefined, id: string) =>
    (mirror?.rules.get(id)?.places.length ?? 0) > 0;

  /** Waits for the handles of rules that are to go and were added so shortly before that they are not told yet. */
  async function untilPlaced(changes: readonly Change[]): Promise<void> {
    const going = changes.filter(({ kind }) => kind === 'remove');
    const isPlacedOrGone = ({ rule: { id }, ...touches }: Change) =>
      [touches.iptables ? iptables : undefined, touches.nft ? nft : undefined].every(
        mirror => mirror?.has(id) !== true || isPlaced(mirror, id),
      );
    // Asked for each of thousands of announcements: what is placed is not looked at again.
    let next = 0;
    const placed = () => {
      for (let change = going[next]; change !== undefined && isPlacedOrGone(change); change = going[next])
        next += 1;
      return next === going.length;
    };
    if (!(await announced(placed, announcedMs + changes.length))) await look();
  }

  /** Whether a large change of the bridged plane happened. @throws KernelError when it did not */
  async function prove(run: RunTool): Promise<void> {
    if (!(await isProved(run))) throw new KernelError('nft said it was done, and it was not');
    [proofStands, proofLeft] = [true, false];
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
    const work = outstanding(changes, iptables, nft);
    const run = tool(changes.length);
    const handles = { iptables: work.iptables.filter(isHandle), nft: work.nft.filter(isHandle) };
    const routed = {
      ...{ chain, exists: iptables.exists, add: work.iptablesAdd },
      remove: work.iptables.filter(place => typeof place === 'string'),
    };
    const inRouted = routed.add.length + routed.remove.length > 0;
    const inBridged = work.nftAdd.length + handles.iptables.length + handles.nft.length > 0;
    const many = work.nftAdd.length >= manyRules;
    /** One for each transaction: what is announced of it first. It is all in the kernel then, or none of it. */
    const proofs: (() => boolean)[] = [];
    /** Deleting is one transaction over both planes where iptables keeps its rules in nf_tables. */
    function* script(): Generator<string> {
      if (many) yield proof;
      yield* deletions(placeOf(chain), handles.iptables);
      yield* deletions(bridgePlace, handles.nft);
      yield* bridgeAdditions(work.nftAdd, nft?.exists ?? true);
    }
    function awaitAnnouncements(): void {
      if (backend === 'nf_tables') for (const rule of routed.add) awaitedInIptables.add(rule);
      for (const rule of work.nftAdd) awaitedInNft.add(rule);
    }
    async function changeInIptables(): Promise<void> {
      const [first] = routed.add;
      if (backend === 'nf_tables' && first !== undefined) proofs.push(() => isPlaced(iptables, first.id));
      if (!inRouted) return;
      await changeRouted(run, routed);
      iptables.exists = true;
    }
    async function changeInNft(): Promise<void> {
      const [goes] = handles.iptables;
      const [alsoGoes] = handles.nft;
      const [first] = work.nftAdd;
      if (!many) {
        if (goes !== undefined) proofs.push(() => !iptables.holds(goes));
        else if (alsoGoes !== undefined) proofs.push(() => nft?.holds(alsoGoes) === false);
        else if (first !== undefined) proofs.push(() => isPlaced(nft, first.id));
      }
      if (many) proofLeft = true; // until it is known how that ended
      if (inBridged) await run('nft', ['-f', '-'], { parts: script() });
      if (many) await prove(run);
      if (nft !== undefined && work.nftAdd.length > 0) nft.exists = true;
    }
    if (many) {
      // Both were asked beforehand whether they would take so many; that is where one that cannot be run is found.
      // Thousands of announcements would take a core from what makes them.
      announcements?.pause();
      // iptables begins: it is quicker, and would begin again were something committed before it.
      const steps = [changeInIptables(), changeInNft()];
      // What they are to do goes to them first.
      const meanwhile = nextTurn().then(awaitAnnouncements);
      await allDone([...steps, meanwhile]).finally(() => announcements?.resume());
    } else {
      awaitAnnouncements();
      await changeInIptables();
      await changeInNft();
    }
    if (await announced(() => proofs.every(isSo => isSo()), announcedMs + changes.length)) {
      // What was announced already may have been taken by somebody since.
      for (const rule of awaitedInIptables.rest()) iptables.expect(rule);
      for (const rule of awaitedInNft.rest()) nft?.expect(rule);
      for (const handle of handles.iptables) iptables.drop(handle);
      for (const handle of handles.nft) nft?.drop(handle);
      if (backend !== 'legacy' || !inRouted) return;
      await look('routed');
    } else await look();
    const left = outstanding(changes, iptables, nft);
    const undone = (['iptablesAdd', 'iptables', 'nftAdd', 'nft'] as const).find(
      part => left[part].length > 0,
    );
    if (undone !== undefined)
      throw new KernelError(
        `${undone.startsWith('nft') ? 'nft' : 'iptables'} said it was done, and it was not`,
      );
  }

  return {
    get backend() {
      return backend;
    },
    get iptables() {
      return iptables;
    },
    get nft() {
      return nft;
    },
    isFresh,
    isWatched: () => watched,
    look: () => look(),
    async glance() {
      if (backend === 'legacy') await look('routed');
    },
    apply,
    tidy,
    async applyAlone(plane, changes) {
      const run = tool(changes.length);
      looked = false;
      try {
        if (plane === 'iptables') await changeRoutedAlone(run, chain, changes);
        else await changeBridgedAlone(run, changes);
      } catch (error) {
        throw asKernelError(error);
      }
    },
    async check(rules) {
      // Rules differ in their addresses only; one of each form stands for all.
      const forms = new Map<string, Rule>();
      for (const rule of rules) forms.set(rule.port > 0 ? `${rule.proto} port` : rule.proto, rule);
      const run = tool();
      await Promise.all([
        checkRouted(run, chain, iptables.exists, [...forms.values()]),
        nft === undefined
          ? undefined
          : run('nft', ['-c', '-f', '-'], { parts: bridgeAdditions([...forms.values()], nft.exists) }),
      ]);
    },
    counters: id => readCounters(tool(iptables.rules.size), chain, id),
    follow: (stop, onState) =>
      watchNft(
        {
          names: [chain, bridgeTable],
          elsewhere: ['FORWARD', 'POSTROUTING'],
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
            unseen = true;
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
