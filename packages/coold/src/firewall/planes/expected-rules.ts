import type { Rule } from '../rule/rule.ts';

/** Rules that are being added and whose announcement by the kernel is expected. Several may have the same key. */
export interface ExpectedRules {
  add(rule: Rule): void;
  /** Removes and returns the first rule with a key. */
  take(key: string): Rule | undefined;
  /** Returns the rules that have not been announced yet. */
  rest(): Iterable<Rule>;
  clear(): void;
}

export function createExpectedRules(keyOf: (rule: Rule) => string): ExpectedRules {
  const first = new Map<string, Rule>();
  /** The second and later rules of a key, in order. Few of thousands of keys have more than one. */
  const others = new Map<string, Rule[]>();
  return {
    add(rule) {
      const key = keyOf(rule);
      if (!first.has(key)) first.set(key, rule);
      else if (others.get(key)?.push(rule) === undefined) others.set(key, [rule]);
    },
    take(key) {
      const taken = first.get(key);
      const waiting = others.get(key);
      const next = waiting?.shift();
      if (next === undefined) first.delete(key);
      else first.set(key, next);
      if (waiting?.length === 0) others.delete(key);
      return taken;
    },
    *rest() {
      yield* first.values();
      for (const rules of others.values()) yield* rules;
    },
    clear() {
      first.clear();
      others.clear();
    },
  };
}
