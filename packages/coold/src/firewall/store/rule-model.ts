import { compareRules, type Rule } from '../rule/rule.ts';

/** One requested edit: a rule to add, or the id of a rule to remove. */
export type Edit = { kind: 'allow'; rule: Rule } | { kind: 'revoke'; id: string };

/** How many rules a call has added and removed, and how many there are now. */
export interface EditCounts {
  added: number;
  removed: number;
  total: number;
}

/**
 * The allow rules that coold is responsible for: those in the kernel at its start, and those requested since. It
 * contains only committed changes, so callers never see a rule that may still be undone.
 */
export class RuleModel {
  readonly #byId = new Map<string, Rule>();
  /** Sorted on demand, since there may be thousands. Undefined after a change. */
  #sorted: readonly Rule[] | undefined;

  get byId(): ReadonlyMap<string, Rule> {
    return this.#byId;
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): Rule | undefined {
    return this.#byId.get(id);
  }

  values(): Iterable<Rule> {
    return this.#byId.values();
  }

  /** Returns all rules, sorted by namespace and id. */
  sorted(): readonly Rule[] {
    this.#sorted ??= [...this.#byId.values()].sort(compareRules);
    return this.#sorted;
  }

  /** Replaces all rules. Of several with one id, the last counts. */
  replace(rules: Iterable<Rule>): void {
    const next = [...rules];
    this.#byId.clear();
    for (const rule of next) this.#byId.set(rule.id, rule);
    this.#sorted = undefined;
  }

  /** Applies committed edits. Returns how many rules were added and removed. */
  apply(edits: readonly Edit[]): EditCounts {
    const stoodBefore = new Map<string, boolean>();
    for (const edit of edits) {
      const id = idOf(edit);
      if (!stoodBefore.has(id)) stoodBefore.set(id, this.#byId.has(id));
      if (edit.kind === 'revoke') this.#byId.delete(id);
      else if (!this.#byId.has(id)) this.#byId.set(id, edit.rule);
    }
    this.#sorted = undefined;
    const counts = { added: 0, removed: 0, total: this.#byId.size };
    for (const [id, stood] of stoodBefore)
      if (stood !== this.#byId.has(id)) counts[stood ? 'removed' : 'added'] += 1;
    return counts;
  }
}

/** Returns the rules that edits want, by id; undefined for a rule to remove. The last edit of an id counts. Pure. */
export function wantedBy(edits: Iterable<Edit>): Map<string, Rule | undefined> {
  const wanted = new Map<string, Rule | undefined>();
  for (const edit of edits) wanted.set(idOf(edit), edit.kind === 'allow' ? edit.rule : undefined);
  return wanted;
}

const idOf = (edit: Edit) => (edit.kind === 'allow' ? edit.rule.id : edit.id);
