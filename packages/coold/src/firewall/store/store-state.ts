import type { Kernel } from '../planes/follow/kernel.ts';
import type { GuardElements } from '../planes/guard-mirror.ts';
import type { Rule } from '../rule/rule.ts';
import type { DenyState } from '../scaffold/deny-state.ts';
import type { ChangesState } from './atomic-changes.ts';
import { type Drift, findDrift, type Known } from './drift.ts';
import type { SnapshotCache } from './snapshot-cache.ts';
import { rulesOfUnknownElements } from './unknown-elements.ts';

/** What coold knows of this host's allow rules; `firewall.status` shows it. */
export interface StoreState {
  /**
   * `enforcing`: what no rule allows is denied. `permissive`: this host should have no default deny. `broken`: it
   * should have one that is not in place. `unknown`: it has not been checked yet.
   */
  mode: 'enforcing' | 'permissive' | 'broken' | 'unknown';
  /** What the default deny lacks while it is broken, or why its state is not known. */
  denyProblem: string | undefined;
  backend: string;
  /** Whether changes by other programs are announced as they happen. */
  watched: boolean;
  rules: { model: number; iptables: number; nft: number; guard: number; snapshot: number };
  drift: Drift;
  /** Rules and elements that cannot be allow rules of ours. In a chain they open nothing; in the guard they do. */
  foreign: { plane: 'iptables' | 'nft' | 'guard'; text: string }[];
  /** What is wrong with the files, if anything. */
  snapshotProblem: string | undefined;
  /** A change that failed and could not be undone yet. */
  unfinished: string | undefined;
  lastError: { message: string; at: Date } | undefined;
}

/** What the state is derived from. */
export interface StoreParts {
  /** Whether kernel and files have been read. */
  loaded: boolean;
  kernel: Pick<Kernel, 'backend' | 'iptables' | 'nft' | 'guard' | 'isWatched'>;
  /** The rules that coold is responsible for, by id. */
  model: ReadonlyMap<string, Rule>;
  snapshots: Pick<SnapshotCache, 'ids' | 'problem'>;
  deny: DenyState;
  /** Whether the deny was checked since the state was requested. */
  isDenyJudged: boolean;
  changes: ChangesState;
  lastError: StoreState['lastError'];
}

/** Returns the state as callers see it. Pure. */
export function readState(parts: StoreParts): StoreState {
  const { kernel, model, snapshots, changes, lastError } = parts;
  const { iptables, nft, guard } = kernel;
  return {
    mode: readMode(parts),
    denyProblem: readDenyProblem(parts),
    backend: kernel.backend ?? 'unknown',
    watched: kernel.isWatched(),
    rules: {
      model: model.size,
      iptables: iptables.rules.size,
      nft: nft?.rules.size ?? 0,
      guard: guard?.size ?? 0,
      snapshot: snapshots.ids.size,
    },
    drift: findDrift(model, iptables.rules, nft?.rules, snapshots.ids, guard && guardRules(guard, model)),
    foreign: [
      ...[...iptables.foreign.values()].map(text => ({ plane: 'iptables' as const, text })),
      ...[...(nft?.foreign.values() ?? [])].map(text => ({ plane: 'nft' as const, text })),
      ...(guard?.foreign() ?? []).map(text => ({ plane: 'guard' as const, text })),
    ],
    snapshotProblem: snapshots.problem,
    unfinished:
      changes.name === 'settled'
        ? undefined
        : `a failed change of ${changes.changes.length} rules is still to be taken back`,
    lastError,
  };
}

function readDenyProblem({ deny, isDenyJudged }: StoreParts): string | undefined {
  if (deny.kind === 'broken') return deny.why;
  return isDenyJudged ? undefined : 'the default deny is still being checked';
}

function readMode({ loaded, kernel, deny, isDenyJudged }: StoreParts): StoreState['mode'] {
  if (deny.kind === 'broken') return 'broken';
  if (!loaded || !isDenyJudged) return 'unknown';
  // Right after a repair the deny is known to be in the kernel, but the bridged plane has not been read yet.
  return kernel.nft === undefined && deny.kind !== 'in place' ? 'permissive' : 'enforcing';
}

/** The ids of the rules whose elements the guard has. Elements that the model does not know have ids of their own. */
function guardRules(guard: GuardElements, model: ReadonlyMap<string, Rule>): Known {
  const known = new Set<string>();
  for (const [id, rule] of model) if (guard.stands(rule)) known.add(id);
  for (const { id } of rulesOfUnknownElements(guard, model.values())) known.add(id);
  return known;
}
