import { expect, test } from 'vitest';
import { withKey } from './subscription.ts';

const table = { name: 't', key: ['a', 'b'], columns: ['where_', 'x'] };
const tables = new Map([['t', table]]);
const keyOf = (name: string) => `"${name}"."a" AS __key0, "${name}"."b" AS __key1`;

test("a statement is asked with its table's key before its own columns", () => {
  for (const [sql, name, rest] of [
    ['SELECT * FROM t', 't', '* FROM t'],
    ['select x from t where x = 1;', 't', 'x from t where x = 1'],
    [
      'SELECT s.x,\n  s.a FROM t AS s\nWHERE s.x IN (?, ?)',
      's',
      's.x,\n  s.a FROM t AS s\nWHERE s.x IN (?, ?)',
    ],
    ['SELECT x FROM "t" s', 's', 'x FROM "t" s'],
    ["SELECT x FROM t WHERE x = 'group by order by'", 't', "x FROM t WHERE x = 'group by order by'"],
  ] as const)
    expect(withKey(sql, tables)).toEqual({ table, sql: `SELECT ${keyOf(name)}, ${rest}` });
});

test('what is not of one table, row by row, is refused', () => {
  for (const sql of [
    'SELECT 1',
    'SELECT * FROM nowhere',
    'SELECT DISTINCT x FROM t',
    'SELECT max(x) FROM t',
    'SELECT x FROM t ORDER BY x',
    'SELECT x FROM t GROUP BY x',
    'SELECT x FROM t LIMIT 1',
    'SELECT t.x FROM t JOIN u ON 1',
    'SELECT x FROM t, u',
    'DELETE FROM t',
  ])
    expect(() => withKey(sql, tables), sql).toThrow(/one table|no such table/);
});
