import type { Rule } from './rule.ts';

/** Rules with an endpoint that no container of the mesh has any more. */
export function orphanIds(rules: readonly Rule[], known: ReadonlySet<string>): string[] {
  return rules.filter(({ src, dst }) => !known.has(src) || !known.has(dst)).map(({ id }) => id);
}
