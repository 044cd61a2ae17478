import { elementOf } from './guard-element.ts';
import type { GuardElements } from './planes/guard-sets.ts';
import { defaultNamespace, type Rule, withId } from './rule.ts';

/**
 * What stands in the guard's sets and has no rule: each as the rule of namespace default that would have that element, so
 * that it has an id to be named and removed by. Pure.
 */
export function strangers(guard: Pick<GuardElements, 'flows'> | undefined, rules: Iterable<Rule>): Rule[] {
  if (guard === undefined) return [];
  const known = new Set<string>();
  for (const rule of rules) known.add(elementOf(rule));
  const found: Rule[] = [];
  for (const flow of guard.flows()) {
    if (known.has(elementOf(flow))) continue;
    const { src, dst, proto, port } = flow;
    if (proto === '' || proto === 'tcp' || proto === 'udp')
      found.push(withId({ namespace: defaultNamespace, src, dst, proto, port }));
  }
  return found;
}
