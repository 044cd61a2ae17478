import type { Change } from '../change.ts';
import type { Look } from '../look.ts';
import type { NftEvent } from '../nft-event.ts';
import type { RunTool } from '../nft-plane.ts';
import type { Rule } from '../rule.ts';

/** The places in the kernel where allow rules stand: the two of docs/contract.md §4, and the guard's sets. */
export type PlaneName = 'iptables' | 'nft' | 'guard';

/** What an announcement was to a plane. `unclear`: it was about this plane, and only a listing tells what stands now. */
export type Taken = 'taken' | 'unclear' | 'elsewhere';

/**
 * One place in the kernel where allow rules stand: what stands there, as listed last and followed since, and how it is
 * changed. Each backend is a file beside this one.
 */
export interface Plane {
  readonly name: PlaneName;
  /** The program that changes it, by which a failure is named. */
  readonly program: 'iptables' | 'nft';
  /** Whether the kernel announces its changes; where it does not, only a listing tells. */
  readonly isAnnounced: boolean;
  /** Lists what stands. It counts once the function that this resolves with is called. @throws Error */
  read(look: Look): Promise<() => void>;
  /** Takes in what the kernel announced. */
  take(event: NftEvent): Taken;
  /** Whether everything is known that removing the rule takes. */
  canRemove(rule: Rule): boolean;
  /** What is not done yet of some changes; reads and changes nothing. */
  plan(changes: readonly Change[]): Step;
  /** How to ask whether it would take rules of some forms, without any of it happening. */
  trial(forms: readonly Rule[]): Trial;
  /** Whether the rule went from here together with what it stood in, and has not been forgotten since. */
  hasVanished(rule: Rule): boolean;
  isAnyVanished(): boolean;
  forgetVanished(): void;
}

/** What one plane does of a change: by a command of its own, in the nft transaction that all planes share, or both. */
export interface Step {
  /** Rules that it adds and removes here. */
  adds: number;
  removes: number;
  /** Undefined: nothing is done by a command. @throws Error */
  command: Phase<(run: RunTool) => Promise<void>> | undefined;
  /** Undefined: nothing is done in the transaction. */
  script: Phase<() => Iterable<string>> | undefined;
  /** Called before anything is done: what is announced from now on may be of this. */
  expect(): void;
  /** Called when it is known that everything was done, and before all of it was announced. */
  settle(): void;
}

/** Work, and whether the first that is announced of it was: all of it is in the kernel then. */
export interface Phase<Work> {
  work: Work;
  isAnnounced(): boolean;
}

export interface Trial {
  /** Undefined: the script is enough. @throws Error with what the program said */
  command: ((run: RunTool) => Promise<void>) | undefined;
  script: Iterable<string>;
}
