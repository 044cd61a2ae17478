import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ruleNumber } from '../../../test/rule-examples.ts';
import type { Rule } from '../rule/rule.ts';
import { createExpectedRules } from './expected-rules.ts';

test('rules are taken in the order they were added, key by key, and what is left is known', () => {
  // The kernel announces flows of which two rules, of two namespaces, may have the same.
  const keyOf = ({ proto, port }: Rule) => `${proto} ${port}`;
  const step = fc.oneof(
    fc.record({ add: fc.nat(40) }),
    fc.record({ take: fc.nat(40) }),
    fc.constant({ clear: true as const }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const expectedRules = createExpectedRules(keyOf);
      let model: Rule[] = [];
      for (const one of steps)
        if ('add' in one) {
          expectedRules.add(ruleNumber(one.add));
          model.push(ruleNumber(one.add));
        } else if ('take' in one) {
          const key = keyOf(ruleNumber(one.take));
          const wanted = model.find(rule => keyOf(rule) === key);
          expect(expectedRules.take(key)).toEqual(wanted);
          model = model.filter(rule => rule !== wanted);
        } else {
          expectedRules.clear();
          model = [];
        }
      const byId = (a: Rule, b: Rule) => (a.id < b.id ? -1 : 1);
      expect([...expectedRules.rest()].sort(byId)).toEqual([...model].sort(byId));
    }),
  );
});
