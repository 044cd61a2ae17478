import { expect, test } from 'vitest';
import { usesEbtablesLegacy } from './unread.ts';

const others = 'br_netfilter 32768 0 - Live 0x0000000000000000\nebtables 40960 3 ebtable_nat, Live 0x0\n';

test.each([
  ['rules in a table', 'ebtable_filter 16384 1 - Live 0x0000000000000000\n', true],
  ['rules of NAT', 'ebtable_nat 16384 2 - Live 0x0000000000000000\n', true],
  ['a table without rules', 'ebtable_filter 16384 0 - Live 0x0000000000000000\n', false],
  ['a match of its own', 'ebt_ip 16384 3 - Live 0x0000000000000000\n', false],
  ['nothing of it', '', false],
])('ebtables-legacy is told by its modules: %s', (_, line, isUsed) => {
  expect(usesEbtablesLegacy(others + line)).toBe(isUsed);
});
