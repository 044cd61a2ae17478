import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readEnvironmentText } from './environment-text.ts';

test('a file is read as systemd reads it', () => {
  const text = [
    '# a comment',
    '; another',
    '',
    'PLAIN=10.210.0.0/24,10.210.1.0/24  ',
    ' SPACED = value ',
    `DOUBLE="a \\"b\\" \\\\ c"`,
    "SINGLE='as $it is \\'",
    'CONTINUED=one,\\',
    'two',
    'ESCAPED=a\\ b',
    'EMPTY=',
    'TWICE=1',
    'TWICE=2',
    'no assignment',
    '1WRONG=x',
  ].join('\n');
  expect([...readEnvironmentText(text)]).toEqual([
    ['PLAIN', '10.210.0.0/24,10.210.1.0/24'],
    ['SPACED', 'value'],
    ['DOUBLE', 'a "b" \\ c'],
    ['SINGLE', 'as $it is \\'],
    ['CONTINUED', 'one,two'],
    ['ESCAPED', 'a b'],
    ['EMPTY', ''],
    ['TWICE', '2'],
  ]);
});

test('a value in single quotes stays unchanged, and no text does harm', () => {
  fc.assert(
    fc.property(
      fc.string().filter(text => !/['\\\r\n]/.test(text)),
      fc.string(),
      (value, text) => {
        expect(readEnvironmentText(`A='${value}'\n`).get('A')).toBe(value);
        readEnvironmentText(text);
      },
    ),
  );
});
