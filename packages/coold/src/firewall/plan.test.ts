import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planChanges } from './plan.ts';
import type { Rule } from './rule.ts';
import { ruleNumber } from './rule-examples.ts';

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
      const changes = planChanges(wanted, { iptables, nft, files }, id => all.get(id));
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
    }),
  );
});

test('what nobody knows cannot go', () => {
  const standings = { iptables: new Set<string>(), nft: undefined, files: new Set<string>() };
  expect(planChanges(new Map([['0123456789ab', undefined]]), standings, () => undefined)).toEqual([]);
});
