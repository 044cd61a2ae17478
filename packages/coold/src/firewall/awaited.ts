import type { Rule } from './rule.ts';

/** Rules that are being added, until each is announced under its key; several may go by one. */
export interface Awaited {
  add(rule: Rule): void;
  /** Takes out the first rule of a key. */
  take(key: string): Rule | undefined;
  /** Those that nothing was announced of yet. */
  rest(): Iterable<Rule>;
  clear(): void;
}

export function createAwaited(keyOf: (rule: Rule) => string): Awaited {
  const first = new Map<string, Rule>();
  /** In order, after the first; hardly any key has more than one, and there are thousands. */
  const others = new Map<string, Rule[]>();
  return {
    add(rule) {
      const key = keyOf(rule);
      if (!first.has(key)) first.set(key, rule);
      else others.set(key, [...(others.get(key) ?? []), rule]);
    },
    take(key) {
      const taken = first.get(key);
      const [next, ...after] = others.get(key) ?? [];
      if (next === undefined) first.delete(key);
      else first.set(key, next);
      if (after.length === 0) others.delete(key);
      else others.set(key, after);
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
