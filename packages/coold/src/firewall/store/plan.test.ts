import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ruleNumber } from '../../../test/rule-examples.ts';
import { elementOf } from '../deny/guard-element.ts';
import { type Rule, withId } from '../rule/rule.ts';
import { planChanges } from './plan.ts';

const byId = (numbers: readonly number[]) => new Map(numbers.map(n => [ruleNumber(n).id, ruleNumber(n)]));

test('done where it says, every place is as it was wanted, and nothing else has changed', () => {
  const some = fc.uniqueArray(fc.nat(12), { maxLength: 12 }).map(byId);
  const nft = fc.option(some, { nil: undefined });
  fc.assert(
    fc.property(some, nft, some, some, some, (iptables, nft, files, add, remove) => {
      const all = byId(Array.from({ length: 13 }, (_, n) => n));
      const wanted = new Map<string, Rule | undefined>(add);
      for (const id of remove.keys()) wanted.set(id, undefined);
      const places = { iptables, nft, file: files };
      const standings = { iptables, nft, guard: undefined, files };
      const changes = planChanges(wanted, standings, id => all.get(id), []);
      for (const [name, place] of Object.entries(places)) {
        if (place === undefined) continue;
        const expected = new Set(place.keys());
        for (const [id, rule] of wanted)
          if (rule === undefined) expected.delete(id);
          else expected.add(id);
        for (const change of changes) {
          if (!change[name as keyof typeof places]) continue;
          expect(place.has(change.rule.id), 'only where something has to be done').toBe(
            change.kind === 'remove',
          );
          if (change.kind === 'add') place.set(change.rule.id, change.rule);
          else place.delete(change.rule.id);
        }
        expect(new Set(place.keys())).toEqual(expected);
      }
      if (nft === undefined) expect(changes.some(change => change.nft)).toBe(false);
      expect(changes.some(change => change.guard)).toBe(false);
    }),
  );
});

test('what nobody knows cannot go', () => {
  const standings = {
    iptables: new Set<string>(),
    nft: undefined,
    guard: { stands: () => true },
    files: new Set<string>(),
  };
  expect(planChanges(new Map([['0123456789ab', undefined]]), standings, () => undefined, [])).toEqual([]);
});

test('an element of the guard is in place exactly while a rule of some namespace has it, and a change undone is undone', () => {
  /** Few flows in three namespaces, so that many rules have the same element. */
  const rule = fc
    .tuple(fc.nat(3), fc.constantFrom('a', 'b', 'c'))
    .map(([n, namespace]) => withId({ ...ruleNumber(n), namespace }));
  const rules = fc
    .uniqueArray(rule, { maxLength: 12, selector: ({ id }) => id })
    .map(some => new Map(some.map(one => [one.id, one])));
  const empty = { iptables: new Set<string>(), nft: undefined, files: new Set<string>() };
  const elementsOf = (some: Iterable<Rule>) => new Set([...some].map(elementOf));
  fc.assert(
    fc.property(rules, rules, rules, (model, add, remove) => {
      const before = elementsOf(model.values());
      const elements = new Set(before);
      const wanted = new Map<string, Rule | undefined>();
      for (const id of remove.keys()) wanted.set(id, undefined);
      for (const [id, one] of add) wanted.set(id, one);
      const guard = { stands: (one: Rule) => elements.has(elementOf(one)) };
      const find = (id: string) => model.get(id) ?? remove.get(id);
      const changes = planChanges(wanted, { ...empty, guard }, find, model.values());
      const after = new Map(model);
      for (const [id, one] of wanted)
        if (one === undefined) after.delete(id);
        else after.set(id, one);
      const touched = changes.filter(change => change.guard);
      for (const { kind, rule: one } of touched)
        if (kind === 'add') elements.add(elementOf(one));
        else elements.delete(elementOf(one));
      expect(elements).toEqual(elementsOf(after.values()));
      for (const { kind, rule: one } of touched)
        if (kind === 'add') elements.delete(elementOf(one));
        else elements.add(elementOf(one));
      expect(elements).toEqual(before);
    }),
  );
});
