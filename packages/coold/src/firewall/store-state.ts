import type { DenyState } from './deny-state.ts';
import { type Drift, findDrift, type Known } from './drift.ts';
import type { Filed } from './filed.ts';
import type { Leftover } from './journal.ts';
import type { Kernel } from './kernel.ts';
import type { GuardElements } from './planes/guard-sets.ts';
import type { Rule } from './rule.ts';
import { strangers } from './strangers.ts';

/** How the allow rules of this host are. */
export interface StoreState {
  /** `broken`: the default deny that this host should have is not in place. `permissive`: it should have none. */
  mode: 'enforcing' | 'permissive' | 'broken' | 'unknown';
  /** What is missing of the default deny while it is broken. */
  denyProblem: string | undefined;
  backend: string;
  /** Whether changes by others are announced as they happen. */
  watched: boolean;
  rules: { model: number; iptables: number; nft: number; guard: number; snapshot: number };
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
  kernel: Pick<Kernel, 'backend' | 'iptables' | 'nft' | 'guard' | 'isWatched'>;
  /** What coold answers for. */
  model: ReadonlyMap<string, Rule>;
  filed: Pick<Filed, 'ids' | 'problem'>;
  deny: DenyState;
  unfinished: Leftover | undefined;
  lastError: StoreState['lastError'];
}

/** Pure. */
export function readState(parts: StoreParts): StoreState {
  const { kernel, model, filed, deny, unfinished, lastError } = parts;
  const { iptables, nft, guard } = kernel;
  return {
    mode: readMode(parts),
    denyProblem: deny.kind === 'broken' ? deny.why : undefined,
    backend: kernel.backend ?? 'unknown',
    watched: kernel.isWatched(),
    rules: {
      model: model.size,
      iptables: iptables.rules.size,
      nft: nft?.rules.size ?? 0,
      guard: guard?.size ?? 0,
      snapshot: filed.ids.size,
    },
    drift: findDrift(model, iptables.rules, nft?.rules, filed.ids, guard && guardRules(guard, model)),
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

function readMode({ loaded, kernel, deny }: StoreParts): StoreState['mode'] {
  if (deny.kind === 'broken') return 'broken';
  if (!loaded) return 'unknown';
  // Right after a repair the deny was seen in the kernel, and the allow rules beside it not yet.
  return kernel.nft === undefined && deny.kind !== 'in place' ? 'permissive' : 'enforcing';
}

/** The rules that the guard's elements stand for, as far as the model knows them; others are named as strangers. */
function guardRules(guard: GuardElements, model: ReadonlyMap<string, Rule>): Known {
  const known = new Set<string>();
  for (const [id, rule] of model) if (guard.stands(rule)) known.add(id);
  for (const { id } of strangers(guard, model.values())) known.add(id);
  return known;
}
