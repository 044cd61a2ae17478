import type { Rule } from './rule.ts';

/** Rules that are being added, until each is announced under its key; several may go by one. */
export interface AwaitedRules {
  add(rule: Rule): void;
  /** Takes out the first rule of a key. */
  take(key: string): Rule | undefined;
  /** Those that nothing was announced of yet. */
  rest(): Iterable<Rule>;
  clear(): void;
}

export function createAwaited(keyOf: (rule: Rule) => string): AwaitedRules {
  const first = new Map<string, Rule>();
  /** In order, after the first; hardly any key has more than one, and there are thousands. */
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
