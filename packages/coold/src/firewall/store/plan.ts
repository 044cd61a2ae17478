import { elementOf } from '../deny/guard-element.ts';
import type { Change } from '../rule/change.ts';
import type { Rule } from '../rule/rule.ts';

/** Tells whether rules stand in each place. */
export interface Standings {
  iptables: { has(id: string): boolean };
  /** Undefined on a permissive host, which has no bridged plane (docs/contract.md §4). */
  nft: { has(id: string): boolean } | undefined;
  /** Undefined on a host without the guard's sets. */
  guard: { stands(rule: Rule): boolean } | undefined;
  files: { has(id: string): boolean };
}

/**
 * Plans what has to be done, and where, so that some rules stand and others do not. Pure.
 *
 * @param wanted by id; undefined for a rule to remove
 * @param find returns the rule of an id where it is known; an unknown rule cannot be removed
 * @param others rules that stand regardless of `wanted`; rules to remove may be among them
 */
export function planChanges(
  wanted: ReadonlyMap<string, Rule | undefined>,
  { iptables, nft, guard, files }: Standings,
  find: (id: string) => Rule | undefined,
  others: Iterable<Rule>,
): Change[] {
  const changes: Change[] = [];
  for (const [id, want] of wanted) {
    const rule = want ?? find(id);
    if (rule === undefined) continue;
    const stands = want !== undefined;
    const change: Change = {
      kind: stands ? 'add' : 'remove',
      rule,
      iptables: iptables.has(id) !== stands,
      nft: nft !== undefined && nft.has(id) !== stands,
      guard: guard !== undefined && guard.stands(rule) !== stands,
      file: files.has(id) !== stands,
    };
    changes.push(change);
  }
  keepShared(changes, wanted, others);
  return changes.filter(change => change.iptables || change.nft || change.guard || change.file);
}

/** The element of a removed rule stays while a rule of another namespace needs it. */
function keepShared(
  changes: readonly Change[],
  wanted: ReadonlyMap<string, Rule | undefined>,
  others: Iterable<Rule>,
): void {
  const going = new Map<string, Change[]>();
  const sources = new Set<string>();
  for (const change of changes) {
    if (change.kind === 'add' || !change.guard) continue;
    const element = elementOf(change.rule);
    const same = going.get(element);
    if (same === undefined) going.set(element, [change]);
    else same.push(change);
    sources.add(change.rule.src);
  }
  if (going.size === 0) return;
  const keep = (rule: Rule) => {
    // Called for thousands of rules, few of which have a source that is named.
    if (!sources.has(rule.src)) return;
    for (const change of going.get(elementOf(rule)) ?? []) change.guard = false;
  };
  for (const rule of others) if (!wanted.has(rule.id)) keep(rule);
  for (const rule of wanted.values()) if (rule !== undefined) keep(rule);
}
