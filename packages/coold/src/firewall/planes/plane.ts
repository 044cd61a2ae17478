import type { Change } from '../rule/change.ts';
import type { Rule } from '../rule/rule.ts';
import type { Look } from './look.ts';
import type { NftEvent } from './monitor/nft-event.ts';
import type { RunTool } from './nft-plane.ts';

/** The places in the kernel that hold allow rules: the two of docs/contract.md §4, and the guard's sets. */
export type PlaneName = 'iptables' | 'nft' | 'guard';

/** What an announcement meant to a plane. `unclear`: it concerned this plane, and only a listing tells the result. */
export type Taken = 'taken' | 'unclear' | 'elsewhere';

/**
 * One place in the kernel that holds allow rules: its content, as last listed and followed since, and how it is
 * changed. Each backend is a file in this folder.
 */
export interface Plane {
  readonly name: PlaneName;
  /** The program that changes it. Failures are named after it. */
  readonly program: 'iptables' | 'nft';
  /** Whether the kernel announces its changes; otherwise only a listing tells. */
  readonly isAnnounced: boolean;
  /** Lists the content. It takes effect when the returned function is called. @throws Error */
  read(look: Look): Promise<() => void>;
  /** Applies an announcement of the kernel. */
  take(event: NftEvent): Taken;
  /** Whether everything is known that removing the rule requires. */
  canRemove(rule: Rule): boolean;
  /** Returns what remains to be done for some changes. Reads and changes nothing. */
  plan(changes: readonly Change[]): Step;
  /** Returns how to ask whether rules of some forms would be accepted, without changing anything. */
  trial(forms: readonly Rule[]): Trial;
  /** Whether the rule disappeared together with its chain, set or table, and has not been forgotten since. */
  hasVanished(rule: Rule): boolean;
  isAnyVanished(): boolean;
  /** Forgets those rules, unless what held them is still missing. */
  forgetVanished(): void;
}

/** What one plane does for a change: with a command of its own, in the nft transaction that all planes share, or both. */
export interface Step {
  /** The number of rules that it adds and removes. */
  adds: number;
  removes: number;
  /** Undefined when no command is needed. @throws Error */
  command: Command | undefined;
  /** Undefined when nothing is done in the shared transaction. */
  script: Phase<() => Iterable<string>> | undefined;
  /** Called before anything is done: announcements from now on may belong to this. */
  expect(): void;
  /** Called when everything is known to be done, and before all of it was announced. */
  settle(): void;
}

/** Work, and whether its first announcement has arrived; the whole transaction is in the kernel then. */
export interface Phase<Work> {
  work: Work;
  isAnnounced(): boolean;
}

export interface Command extends Phase<(run: RunTool) => Promise<void>> {
  /** The same in a transaction that leaves a proof (nft-proof.ts). Undefined when it cannot leave one. */
  provedWork: ((run: RunTool) => Promise<void>) | undefined;
}

export interface Trial {
  /** Undefined when the script is enough. @throws Error with the program's message */
  command: ((run: RunTool) => Promise<void>) | undefined;
  script: Iterable<string>;
}
