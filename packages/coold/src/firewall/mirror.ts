import type { Rule, Standing } from './rule.ts';

/**
 * Where a rule stands in its chain: by the handle that the kernel gave it, or, where there are no handles
 * (iptables-legacy), by the line that iptables lists it with.
 */
export type Place = number | string;

/** What one plane's allow chain holds, as last listed and followed since. */
export interface Mirror {
  /** Whether the chain exists. */
  exists: boolean;
  /** Ours, by id; one that stands there several times has several places, one whose place is not told yet has none. */
  readonly rules: ReadonlyMap<string, { rule: Rule; places: readonly Place[] }>;
  readonly foreign: ReadonlyMap<Place, string>;
  put(place: Place, standing: Standing): void;
  /** A rule stands there now; where is told later. */
  expect(rule: Rule): void;
  /** Something went from that place. @returns the rule, when it was the last of one of ours */
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
      // A listing and what was announced while it was made may both tell of it; a line can stand there twice.
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
