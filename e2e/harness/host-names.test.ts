import { expect, test } from 'vitest';
import { claimNames } from './host-names.ts';

test('claims all names or none', () => {
  const taken = new Set(['old']);
  for (const name of ['', 'UPPER', '-a', 'a-', '1a', 'a/b', 'thirteen-char'])
    expect(() => claimNames(['fine', name], taken, 9)).toThrow('DNS label of at most 12 characters');
  expect(() => claimNames(['new', 'old'], taken, 9)).toThrow('"old" is taken');
  expect(() => claimNames(['twin', 'twin'], taken, 9)).toThrow('"twin" is taken');
  expect(() => claimNames(['a', 'b', 'c'], taken, 3)).toThrow('more than 3 hosts');
  expect([...taken]).toEqual(['old']);
  claimNames(['a', 'twelve-chars'], taken, 3);
  expect([...taken]).toEqual(['old', 'a', 'twelve-chars']);
});
