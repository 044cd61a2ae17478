import type { Kernel } from '../planes/follow/kernel.ts';
import type { PlaneName } from '../planes/plane.ts';
import type { Rule } from '../rule/rule.ts';

/** What has to be known of the kernel. */
type Planes = Pick<Kernel, 'iptables' | 'nft' | 'guard' | 'hasVanished'>;

/**
 * Returns the rules that are missing somewhere and vanished from each of these planes together with the chain, set or table they
 * stood in: those of an emptied packet filter, and none that somebody removed by itself. Pure.
 *
 * @param snapshots the ids of the rules in the files; others are not restored
 */
export function vanishedRules(rules: Iterable<Rule>, snapshots: ReadonlySet<string>, kernel: Planes): Rule[] {
  return [...rules].filter(rule => {
    const missing = missingFrom(rule, kernel);
    return (
      snapshots.has(rule.id) && missing.length > 0 && missing.every(plane => kernel.hasVanished(plane, rule))
    );
  });
}

/**
 * Returns the rules that belong into a guard that is new on this host, as after an update, and is still empty: what stands in
 * both planes of the contract and in the files is allowed already. Pure.
 *
 * @param snapshots the ids of the rules in the files
 */
export function missingInNewGuard(
  rules: Iterable<Rule>,
  snapshots: ReadonlySet<string>,
  kernel: Planes,
): Rule[] {
  return kernel.guard === undefined || kernel.guard.size > 0
    ? []
    : missingFromGuard(rules, snapshots, kernel);
}

/**
 * Returns the rules that stand everywhere except in the guard. Pure.
 *
 * @param snapshots the ids of the rules in the files
 */
export function missingFromGuard(
  rules: Iterable<Rule>,
  snapshots: ReadonlySet<string>,
  kernel: Planes,
): Rule[] {
  if (kernel.guard === undefined) return [];
  return [...rules].filter(
    rule => snapshots.has(rule.id) && missingFrom(rule, kernel).every(plane => plane === 'guard'),
  );
}

function missingFrom(rule: Rule, { iptables, nft, guard }: Planes): PlaneName[] {
  return [
    ...(iptables.has(rule.id) ? [] : ['iptables' as const]),
    ...(nft?.has(rule.id) === false ? ['nft' as const] : []),
    ...(guard?.stands(rule) === false ? ['guard' as const] : []),
  ];
}
