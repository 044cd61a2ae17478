import { setTimeout as delay } from 'node:timers/promises';
import type { Logger, Task } from '@coold/runtime';
import type { Announcement } from './announcement.ts';
import { applyScaffold, hasBridgeConntrack } from './apply-scaffold.ts';
import { type Cidr, outermost } from './cidr.ts';
import type { DenyState } from './deny-state.ts';
import { type DesiredScaffold, readDesiredScaffold } from './desired-scaffold.ts';
import { messageOf } from './firewall-error.ts';
import { readJoined } from './joined-file.ts';
import { deniedBeyond, type Missing, missingScaffold, scaffoldChains } from './missing-scaffold.ts';
import { readScaffold } from './read-scaffold.ts';
import type { Scaffold } from './scaffold.ts';

/** The default deny that this host should have (docs/contract.md §4), which is put back when it goes. */
export interface DefaultDeny {
  state(): DenyState;
  /** How often it had to be put back since coold began. */
  repairs(): number;
  /** Looks, and puts back what is missing. @throws Error when that fails */
  repair(): Promise<void>;
  /** @param onFirstLook called once it was looked at, and put back, or that was tried */
  keep(onFirstLook: () => void): Task;
}

export interface DefaultDenyOptions {
  /** mesh.env, which says what the scaffold is made of. */
  desiredPath: string;
  /** Tells when the kernel announced a change of what the deny is made of. */
  changes: Pick<Announcement, 'next'>;
  /** Whether such changes are announced now. */
  isWatched: () => boolean;
  log: Logger;
  /** Called before something is put back: what went with it is to be seen by then. */
  onMissing: () => Promise<void>;
  /** Called whenever all of it is found to be there. */
  onInPlace: () => void;
}

/** What a look at the kernel found. */
interface Found {
  /** What is named, and what the kernel denies beyond it. */
  scaffold: Scaffold;
  beyond: Cidr[];
  missing: Missing[];
}

/** Between two looks where changes are announced, and where they are not: iptables-legacy announces none. In ms. */
const everyMs = { announced: 5000, silent: 1500 };
/** How long is waited for others to have seen what went; what is open meanwhile counts more. */
const onMissingMs = 500;
/** After a repair that did not help, in ms. */
const againMs = 10_000;
/** Subnets join on the disk first and in the kernel a moment later. */
const joiningMs = 700;

/**
 * Keeps the default deny in the kernel: `systemctl restart nftables`, `nft flush ruleset` or `iptables -F FORWARD` take it
 * out, and with it every tenant's protection. Putting it back never opens anything.
 */
export function createDefaultDeny(options: DefaultDenyOptions): DefaultDeny {
  const { desiredPath, changes, isWatched, log, onMissing, onInPlace } = options;
  let state: DenyState = { kind: 'unknown' };
  let repairs = 0;
  let conntrack: Promise<boolean> | undefined;

  async function scaffoldOf(desired: DesiredScaffold & { kind: 'named' }): Promise<Scaffold> {
    const { joinedPath, ...scaffold } = desired.scaffold;
    return { ...scaffold, joined: (await readJoined(joinedPath)).subnets };
  }

  /**
   * What the kernel denies beyond what is named stays denied: mesh.env may be half written, and only a restart of its unit
   * makes it count. So putting back opens nothing.
   */
  async function find(desired: DesiredScaffold & { kind: 'named' }): Promise<Found> {
    const named = await scaffoldOf(desired);
    // A kernel that could not be asked is asked again.
    conntrack ??= hasBridgeConntrack().catch((error: unknown) => {
      conntrack = undefined;
      throw error;
    });
    const hasConntrack = await conntrack;
    const present = await readScaffold(scaffoldChains(named, hasConntrack), named.chainName);
    const beyond = deniedBeyond(named, present);
    const scaffold = {
      ...named,
      pools: [...named.pools, ...beyond.pools],
      subnets: [...named.subnets, ...beyond.subnets],
    };
    return {
      scaffold,
      beyond: outermost([...beyond.pools, ...beyond.subnets]),
      missing: missingScaffold(scaffold, hasConntrack, present),
    };
  }

  async function look(desired: DesiredScaffold & { kind: 'named' }): Promise<Found> {
    const found = await find(desired);
    const { missing } = found;
    if (missing.length === 0 || missing.some(({ isWhole }) => isWhole)) return found;
    // It may be a subnet that is just joining or leaving.
    await delay(joiningMs);
    return await find(desired);
  }

  /** One at a time, whoever asks. */
  let running: Promise<void> | undefined;
  const lookAndRepair = () => {
    running ??= lookOnce().finally(() => {
      running = undefined;
    });
    return running;
  };

  async function lookOnce(): Promise<void> {
    const desired = await readDesiredScaffold(desiredPath);
    if (desired.kind !== 'named') {
      state = { kind: desired.kind === 'none' ? 'not wanted' : 'unknown' };
      return;
    }
    let found: Found;
    try {
      found = await look(desired);
    } catch (error) {
      state = { kind: 'broken', why: `it cannot be read: ${messageOf(error)}` };
      throw error;
    }
    const { beyond, missing } = found;
    if (missing.length > 0) await putBack(desired, found);
    state = { kind: 'in place', ...(beyond.length === 0 ? {} : { beyond }) };
    onInPlace();
  }

  /** @throws Error when it is not there afterwards either */
  async function putBack(desired: DesiredScaffold & { kind: 'named' }, found: Found): Promise<void> {
    const missing = found.missing.map(({ text }) => text);
    const why = `missing: ${missing.join(', ')}`;
    const isNews = state.kind !== 'broken';
    state = { kind: 'broken', why };
    await Promise.race([onMissing(), delay(onMissingMs)]);
    try {
      // Subnets may have joined while that was waited for.
      await applyScaffold({ ...found.scaffold, joined: (await scaffoldOf(desired)).joined });
      const still = (await find(desired)).missing;
      if (still.length > 0) throw new Error(`still missing: ${still.map(({ text }) => text).join(', ')}`);
    } catch (error) {
      conntrack = undefined;
      state = { kind: 'broken', why: `${why}; it cannot be put back: ${messageOf(error)}` };
      throw error;
    }
    repairs += 1;
    if (isNews)
      log.error(
        { missing },
        'the default deny was not in place, so containers could reach each other; it is put back',
      );
    else log.warn({ missing }, 'the default deny is put back');
  }

  return {
    state: () => state,
    repairs: () => repairs,
    repair: lookAndRepair,
    keep: onFirstLook => async stop => {
      let failing = false;
      while (!stop.aborted) {
        // Taken before the look: what changes during it is looked at again.
        const change = changes.next();
        try {
          await lookAndRepair();
          failing = false;
        } catch (error) {
          log.error({ err: error, again_in_ms: againMs }, 'cannot see to the default deny; trying again');
          failing = true;
        }
        onFirstLook();
        const waitMs = failing ? againMs : isWatched() ? everyMs.announced : everyMs.silent;
        const waiting = new AbortController();
        const signal = AbortSignal.any([stop, waiting.signal]);
        const pause = delay(waitMs, undefined, { signal }).catch(() => {});
        await (failing ? pause : Promise.race([change, pause]));
        waiting.abort();
      }
    },
  };
}
