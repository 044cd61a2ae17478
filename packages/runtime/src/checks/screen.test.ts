import { expect, it } from 'vitest';
import { formatAge, screen } from './screen.ts';

it.each([
  [-5, '0s'],
  [0, '0s'],
  [59.9, '59s'],
  [60, '1m 0s'],
  [3725, '1h 2m'],
  [4 * 86_400 + 3 * 3600, '4d 3h'],
])('%d s is told as %s', (seconds, told) => expect(formatAge(seconds)).toBe(told));

it('says first how it is, then lines up what there is, and leaves empty lists out', () => {
  const rows = [
    ['a', '1'],
    ['long', '2'],
  ] as const;
  const lists = [
    { title: 'none', lines: [] },
    { title: 'some', lines: ['x'] },
  ];
  expect(screen({ rows, lists, problems: [] })).toBe('healthy\n\na     1\nlong  2\n\nsome:\n  x\n');
  expect(screen({ rows, lists: [], problems: [], unfinished: ['u'] })).toMatch(
    /^starting: not there yet: u\n\na /,
  );
  expect(screen({ rows, lists: [], problems: [], late: ['l'] })).toMatch(/^late: l\n\na /);
  expect(screen({ rows, lists: [], problems: ['p', 'q'] })).toBe(
    'PROBLEM: p\nPROBLEM: q\n\na     1\nlong  2\n',
  );
});

it('shows no control character of a text that somebody else chose', () => {
  const evil = '\u001b[2Jgone\nnext';
  const text = screen({ rows: [['v', evil]], lists: [{ title: 't', lines: [evil] }], problems: [evil] });
  expect(text).not.toContain('\u001b');
  expect(text.split('\n')).toHaveLength(7);
});
