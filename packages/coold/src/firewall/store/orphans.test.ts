import { expect, test } from 'vitest';
import { readRule } from '../rule/rule.ts';
import { orphanIds } from './orphans.ts';

test('a rule is an orphan as soon as one of its ends is nobody’s', () => {
  const rules = ['10.0.0.2', '10.0.0.3', '10.0.0.4'].map(dst => readRule({ src: '10.0.0.1', dst }));
  expect(orphanIds(rules, new Set(['10.0.0.1', '10.0.0.2', '10.0.0.4']))).toEqual([rules[1]?.id]);
  expect(orphanIds(rules, new Set(['10.0.0.2', '10.0.0.3', '10.0.0.4']))).toHaveLength(3);
});
