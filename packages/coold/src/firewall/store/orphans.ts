import type { Rule } from '../rule/rule.ts';

/** Returns the ids of rules with an endpoint that no container of the mesh has any more. */
export function orphanIds(rules: readonly Rule[], known: ReadonlySet<string>): string[] {
  return rules.filter(({ src, dst }) => !known.has(src) || !known.has(dst)).map(({ id }) => id);
}
