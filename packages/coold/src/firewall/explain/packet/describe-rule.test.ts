import { expect, test } from 'vitest';
import { describeRule } from './describe-rule.ts';

const place = { family: 'inet', table: 'filter', chain: 'forward' } as const;

test('marks and states of connections are shown as nft shows them', () => {
  const bytes = (...given: readonly number[]) => Buffer.from(given);
  const text = describeRule({
    place,
    comment: '',
    expressions: [
      { kind: 'ct', to: 0, key: 0, hasDirection: false },
      { kind: 'mask', from: 0, to: 0, mask: bytes(8, 0, 0, 0), xor: bytes(0, 0, 0, 0) },
      { kind: 'compare', from: 0, operator: '!=', data: bytes(0, 0, 0, 0) },
      { kind: 'meta', to: 0, key: 3 },
      { kind: 'compare', from: 0, operator: '==', data: bytes(5, 0, 0, 0) },
      { kind: 'verdict', verdict: { kind: 'drop' } },
    ],
  });
  expect(text).toBe('ct state & 0x8 != 0x0 meta mark 0x5 drop');
});
