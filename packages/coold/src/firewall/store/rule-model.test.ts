import { expect, test } from 'vitest';
import { ruleNumber } from '../../../test/rule-examples.ts';
import { type Edit, RuleModel, wantedBy } from './rule-model.ts';

const [first, second] = [ruleNumber(1), ruleNumber(2)];
const allow = (rule: typeof first): Edit => ({ kind: 'allow', rule });
const revoke = ({ id }: typeof first): Edit => ({ kind: 'revoke', id });

test('counts each rule that came or went once', () => {
  const model = new RuleModel();
  expect(model.apply([allow(first), allow(first), allow(second)])).toEqual({
    added: 2,
    removed: 0,
    total: 2,
  });
  expect(model.apply([allow(first)])).toEqual({ added: 0, removed: 0, total: 2 });
  expect(model.apply([revoke(first), revoke(first)])).toEqual({ added: 0, removed: 1, total: 1 });
  expect(model.get(first.id)).toBeUndefined();
  expect(model.get(second.id)).toBe(second);
});

test('counts nothing for a rule that is added and removed by the same edits', () => {
  const model = new RuleModel();
  expect(model.apply([allow(first), revoke(first)])).toEqual({ added: 0, removed: 0, total: 0 });
});

test('sorts again after each change', () => {
  const model = new RuleModel();
  model.replace([second, first]);
  const before = model.sorted();
  expect(model.sorted()).toBe(before);
  expect(before.map(({ id }) => id)).toEqual([first.id, second.id].sort());
  model.apply([revoke(first)]);
  expect(model.sorted()).toEqual([second]);
  model.replace(model.values());
  expect(model.sorted()).toEqual([second]);
});

test('the last edit of an id says what is wanted', () => {
  const wanted = wantedBy([allow(first), revoke(first), revoke(second), allow(second)]);
  expect([...wanted]).toEqual([
    [first.id, undefined],
    [second.id, second],
  ]);
});
