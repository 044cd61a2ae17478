import { elementOf } from '../deny/guard-element.ts';
import type { GuardElements } from '../planes/guard-mirror.ts';
import { defaultNamespace, type Rule, withId } from '../rule/rule.ts';

/**
 * Returns a rule for each element of the guard's sets that none of `rules` has. It is the rule of namespace default that would
 * have this element, so that the element has an id by which it is named and removed. Pure.
 */
export function rulesOfUnknownElements(
  guard: Pick<GuardElements, 'flows'> | undefined,
  rules: Iterable<Rule>,
): Rule[] {
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
