import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openStore } from './store.ts';
import { createSubscriptions, withKey } from './subscription.ts';

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

test('what nobody reads is freed after a while or when it is too much; its change ids are not told again', () => {
  const folder = mkdtempSync(join(tmpdir(), 'coold-subscription-'));
  const store = openStore(
    join(folder, 'db'),
    "CREATE TABLE s (id TEXT NOT NULL PRIMARY KEY, x TEXT NOT NULL DEFAULT '')",
  );
  let time = 0;
  const subscriptions = createSubscriptions(store, { idleMs: 100, maxIdle: 2, now: () => time });
  const of = (n: number) => subscriptions.of({ sql: `SELECT id FROM s WHERE x <> '${n}'`, params: [] });
  const insert = (id: string) => store.transact([{ sql: 'INSERT INTO s (id) VALUES (?)', params: [id] }]);
  const ids = (list: { id: string }[]) => list.map(({ id }) => subscriptions.byId(id) !== undefined);
  const read = of(0);
  const stop = read.follow(() => {});
  const idle = [1, 2, 3, 4].map(of);
  insert('a');
  expect(ids([read, ...idle])).toEqual([true, false, false, true, true]);
  time = 101;
  insert('b');
  expect(ids([read, ...idle])).toEqual([true, false, false, false, false]);
  stop();
  time = 200;
  insert('c');
  expect(of(0)).toBe(read);
  time = 301;
  const anew = of(0);
  expect(anew).not.toBe(read);
  insert('d');
  expect(anew.catchUp({ from: 1, skipRows: false })).toBeUndefined();
  expect([...(anew.catchUp({ skipRows: true }) ?? [])].at(-1)).toMatchObject({ eoq: { change_id: 5 } });
  expect(anew.catchUp({ from: 4, skipRows: false })).toEqual([{ change: ['insert', 4, ['d'], 5] }]);
  store.close();
  rmSync(folder, { recursive: true });
});
