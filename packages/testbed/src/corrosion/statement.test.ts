import { expect, test } from 'vitest';
import { parseStatement } from './statement.ts';

test('every form of a statement is one shape', () => {
  const sql = 'SELECT 1';
  expect(parseStatement(sql)).toEqual({ sql, params: [] });
  expect(parseStatement([sql])).toEqual({ sql, params: [] });
  expect(parseStatement([sql, ['a', 1, 1.5, true, null, [0, 255]]])).toEqual({
    sql,
    params: ['a', 1n, 1.5, 1n, null, Uint8Array.of(0, 255)],
  });
  expect(parseStatement([sql, { ':a': 1 }])).toEqual({ sql, params: { ':a': 1n } });
  expect(parseStatement({ query: sql, params: [2] })).toEqual({ sql, params: [2n] });
  expect(parseStatement({ query: sql, named_params: { a: 'x' } })).toEqual({ sql, params: { a: 'x' } });
});

test('anything else is refused', () => {
  for (const body of [
    null,
    1,
    [],
    [1],
    {},
    { query: 1 },
    ['x', 1],
    ['x', [{}]],
    ['x', [[256]]],
    ['x', [], []],
  ])
    expect(() => parseStatement(body)).toThrow('expected');
});
