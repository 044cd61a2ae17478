import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { openStore } from './store.ts';
import {
  createSubscriptions,
  type KeptSubscription,
  type SubscriptionsOptions,
  withKey,
} from './subscription.ts';

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

test('a subscription without readers is freed after a while, or when there are too many', () => {
  const folder = mkdtempSync(join(tmpdir(), 'coold-subscription-'));
  const store = openStore(
    join(folder, 'db'),
    "CREATE TABLE s (id TEXT NOT NULL PRIMARY KEY, x TEXT NOT NULL DEFAULT '')",
  );
  let time = 0;
  const subscriptions = createSubscriptions(store, { idleMs: 100, maxIdle: 2, batchMs: 0, now: () => time });
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
  expect(anew.id).not.toBe(read.id);
  insert('d');
  expect([...anew.catchUp({ skipRows: false }).frames].at(-1)).toMatchObject({ eoq: { change_id: 1 } });
  store.close();
  rmSync(folder, { recursive: true });
});

/** A store and its subscriptions, whose statement is followed; `told` is what came. */
function follow(options: SubscriptionsOptions = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'coold-subscription-'));
  const store = openStore(
    join(folder, 'db'),
    "CREATE TABLE s (id TEXT NOT NULL PRIMARY KEY, x TEXT NOT NULL DEFAULT '')",
  );
  const statement = { sql: 'SELECT id, x FROM s', params: [] };
  const subscriptions = createSubscriptions(store, { batchMs: 30, ...options });
  const told: unknown[] = [];
  const subscription = subscriptions.of(statement);
  subscription.follow(frame => void told.push(frame));
  return {
    store,
    statement,
    subscriptions,
    subscription,
    told,
    run: (...sql: string[]) => store.transact(sql.map(one => ({ sql: one, params: [] }))),
    [Symbol.dispose]() {
      store.close();
      rmSync(folder, { recursive: true });
    },
  };
}

test('changes come in batches: what is undone within one is left out, and deletes come last', async () => {
  using followed = follow();
  const { run, told } = followed;
  run("INSERT INTO s VALUES ('a', '1'), ('b', '1'), ('c', '1')");
  expect(told).toEqual([]);
  await vi.waitFor(() => expect(told).toHaveLength(3));
  told.length = 0;
  run("DELETE FROM s WHERE id = 'a'");
  run("UPDATE s SET x = '2' WHERE id = 'b'", "DELETE FROM s WHERE id = 'c'");
  run("INSERT INTO s VALUES ('c', '1'), ('d', '1')");
  await vi.waitFor(() =>
    expect(told).toEqual([
      { change: ['update', 2, ['b', '2'], 4] },
      { change: ['insert', 4, ['d', '1'], 5] },
      { change: ['delete', 1, ['a', '1'], 6] },
    ]),
  );
  run("INSERT INTO s VALUES ('a', '1')");
  await vi.waitFor(() => expect(told.at(-1)).toEqual({ change: ['insert', 5, ['a', '1'], 7] }));
});

test('some 500 changes are kept; a reader that asks for older ones is refused, and gets nothing after it', () => {
  using followed = follow({ batchMs: 0 });
  const { run, subscription } = followed;
  for (let n = 0; n < 510; n += 1) run(`INSERT INTO s VALUES ('${n}', '')`);
  expect(subscription.catchUp({ from: 10, skipRows: false })).toMatchObject({ isOver: false });
  expect(subscription.catchUp({ from: 9, skipRows: false })).toEqual({
    frames: [{ error: 'subscription already deleted older changes, min change id: 11' }],
    isOver: true,
  });
});

test('an orderly stop keeps a subscription with its own rows, also where the database is an older one by then', () => {
  using first = follow({ batchMs: 0 });
  first.run("INSERT INTO s VALUES ('a', '1')");
  const kept = first.subscriptions.close();
  // Another database, in which that row never was.
  using second = follow({ batchMs: 0, kept: JSON.parse(JSON.stringify(kept)) as KeptSubscription[] });
  expect(second.subscription.id).toBe(first.subscription.id);
  expect(second.subscription.catchUp({ from: 1, skipRows: false })).toEqual({ frames: [], isOver: false });
  expect([...second.subscription.catchUp({ skipRows: false }).frames]).toContainEqual({
    row: [1, ['a', '1']],
  });
  second.run("INSERT INTO s VALUES ('b', '1')");
  expect(second.told).toEqual([{ change: ['insert', 2, ['b', '1'], 2] }]);
});
