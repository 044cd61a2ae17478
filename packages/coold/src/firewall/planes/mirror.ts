import type { Rule, Standing } from '../rule/rule.ts';

/**
 * Identifies a rule in its chain: by the kernel's handle, or where there are no handles (iptables-legacy) by the line
 * that iptables prints.
 */
export type Place = number | string;

/** The content of one plane's allow chain, as last listed and followed since. */
export interface Mirror {
  /** Whether the chain exists. */
  exists: boolean;
  /**
   * Our rules by id. A rule that is in the chain several times has several places; a rule whose place is not known yet
   * has none.
   */
  readonly rules: ReadonlyMap<string, { rule: Rule; places: readonly Place[] }>;
  readonly foreign: ReadonlyMap<Place, string>;
  put(place: Place, standing: Standing): void;
  /** Records that a rule is in the chain now. Its place is announced later. */
  expect(rule: Rule): void;
  /** Records that the entry at a place was removed. @returns the rule, when this was the last entry of one of ours */
  drop(place: Place): Rule | undefined;
  has(id: string): boolean;
  holds(place: Place): boolean;
}

const nowhere: readonly Place[] = [];

export function createMirror(exists: boolean): Mirror {
  const rules = new Map<string, { rule: Rule; places: readonly Place[] }>();
  const foreign = new Map<Place, string>();
  const owners = new Map<Place, string>();
  const mirror: Mirror = {
    exists,
    rules,
    foreign,
    put(place, standing) {
      // A listing and an announcement during the listing may both report the same rule. A line can be there twice.
      if (typeof place === 'number' && mirror.holds(place)) return;
      if (standing.kind === 'foreign') {
        foreign.set(place, standing.text);
        return;
      }
      const { rule } = standing;
      const known = rules.get(rule.id);
      if (known === undefined) rules.set(rule.id, { rule, places: [place] });
      else known.places = known.places.length === 0 ? [place] : [...known.places, place]; // pushing reserves room for many
      owners.set(place, rule.id);
    },
    expect(rule) {
      if (!rules.has(rule.id)) rules.set(rule.id, { rule, places: nowhere });
    },
    drop(place) {
      foreign.delete(place);
      const id = owners.get(place);
      const owner = id === undefined ? undefined : rules.get(id);
      if (id === undefined || owner === undefined) return undefined;
      owners.delete(place);
      owner.places = owner.places.filter(other => other !== place);
      if (owner.places.length > 0) return undefined;
      rules.delete(id);
      return owner.rule;
    },
    has: id => rules.has(id),
    holds: place => owners.has(place) || foreign.has(place),
  };
  return mirror;
}
