import type { Kernel } from './kernel.ts';
import type { PlaneName } from './planes/plane.ts';
import type { Rule } from './rule.ts';

/** What has to be known of the kernel. */
type Planes = Pick<Kernel, 'iptables' | 'nft' | 'guard' | 'hasVanished'>;

/**
 * The rules that are missing somewhere, and went from each of these planes all at once with what they stood in: those that
 * an emptied packet filter had, and none that somebody took by itself. Pure.
 *
 * @param filed ids of the snapshots
 */
export function goneAtOnce(rules: Iterable<Rule>, filed: ReadonlySet<string>, kernel: Planes): Rule[] {
  return [...rules].filter(rule => {
    const missing = missingFrom(rule, kernel);
    return (
      filed.has(rule.id) && missing.length > 0 && missing.every(plane => kernel.hasVanished(plane, rule))
    );
  });
}

/**
 * A guard that is new on this host, as after an update, has nothing yet. What stands in both planes of the contract and in
 * the snapshots is allowed already, so it belongs in. Pure.
 */
export function missingInNewGuard(rules: Iterable<Rule>, filed: ReadonlySet<string>, kernel: Planes): Rule[] {
  if (kernel.guard === undefined || kernel.guard.size > 0) return [];
  return [...rules].filter(
    rule => filed.has(rule.id) && missingFrom(rule, kernel).every(plane => plane === 'guard'),
  );
}

function missingFrom(rule: Rule, { iptables, nft, guard }: Planes): PlaneName[] {
  return [
    ...(iptables.has(rule.id) ? [] : ['iptables' as const]),
    ...(nft?.has(rule.id) === false ? ['nft' as const] : []),
    ...(guard?.stands(rule) === false ? ['guard' as const] : []),
  ];
}
