import { type Drift, findDrift } from './drift.ts';
import type { Filed } from './filed.ts';
import type { Leftover } from './journal.ts';
import type { Kernel } from './kernel.ts';
import type { Rule } from './rule.ts';

/** How the allow rules of this host are. */
export interface StoreState {
  mode: 'enforcing' | 'permissive' | 'unknown';
  backend: string;
  /** Whether changes by others are announced as they happen. */
  watched: boolean;
  rules: { model: number; iptables: number; nft: number; snapshot: number };
  drift: Drift;
  foreign: { plane: 'iptables' | 'nft'; text: string }[];
  /** What is wrong with the files, if anything. */
  snapshotProblem: string | undefined;
  /** A change that failed and could not be taken back yet. */
  unfinished: string | undefined;
  lastError: { message: string; at: Date } | undefined;
}

/** What the store knows, and knows it from. */
export interface StoreParts {
  /** Kernel and files were read. */
  loaded: boolean;
  kernel: Pick<Kernel, 'backend' | 'iptables' | 'nft' | 'isWatched'>;
  /** What coold answers for. */
  model: ReadonlyMap<string, Rule>;
  filed: Pick<Filed, 'ids' | 'problem'>;
  unfinished: Leftover | undefined;
  lastError: StoreState['lastError'];
}

/** Pure. */
export function readState({ loaded, kernel, model, filed, unfinished, lastError }: StoreParts): StoreState {
  const { iptables, nft } = kernel;
  return {
    mode: !loaded ? 'unknown' : nft === undefined ? 'permissive' : 'enforcing',
    backend: kernel.backend ?? 'unknown',
    watched: kernel.isWatched(),
    rules: {
      model: model.size,
      iptables: iptables.rules.size,
      nft: nft?.rules.size ?? 0,
      snapshot: filed.ids.size,
    },
    drift: findDrift(model, iptables.rules, nft?.rules, filed.ids),
    foreign: [
      ...[...iptables.foreign.values()].map(text => ({ plane: 'iptables' as const, text })),
      ...[...(nft?.foreign.values() ?? [])].map(text => ({ plane: 'nft' as const, text })),
    ],
    snapshotProblem: filed.problem,
    unfinished:
      unfinished === undefined
        ? undefined
        : `a failed change of ${unfinished.changes.length} rules is still to be taken back`,
    lastError,
  };
}
