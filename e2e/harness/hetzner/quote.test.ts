import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { shellLine } from './quote.ts';

/** Returns the arguments that a program gets from a line, according to a shell. */
function wordsIn(shell: readonly [string, ...string[]], line: string): string[] {
  const [program, ...args] = shell;
  const script = `set -- ${line}\nprintf '%s\\0' "$@"`;
  const { stdout, status, stderr } = spawnSync(program, [...args, '-c', script], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
  return stdout.split('\0').slice(0, -1);
}

// A lone surrogate has no UTF-8 form, so it is replaced on output, with or without quotes.
const character = fc.oneof(
  fc.constantFrom(...'\'"\\$`!#~*?[]{}()<>|&;= \t\n\r%-\u0001\u007fäß😀'),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
);
const word = fc
  .array(character, { maxLength: 12 })
  .map(characters => characters.join('').replaceAll('\0', ''));

test.each([['sh'], ['bash'], ['busybox', 'sh']] as const)('%s reads every word unchanged', (...shell) => {
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 6 }), words => {
      expect(wordsIn(shell, shellLine(words))).toEqual(words);
    }),
    { numRuns: 150 },
  );
});

test('words that look like shell syntax stay words', () => {
  const words = [
    '',
    '-n',
    '--',
    '$(touch /nowhere)',
    '`id`',
    "it's",
    "'",
    "''",
    'a\nb',
    '~',
    '*',
    '!!',
    '\\',
    "\\'",
  ];
  expect(wordsIn(['sh'], shellLine(words))).toEqual(words);
});

test('a word that no argument can hold is refused', () => {
  expect(() => shellLine(['a', 'b\0c'])).toThrow('NUL');
});
