import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openStore, type Store, type Version } from './store.ts';

const schema = `CREATE TABLE services (
  id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL DEFAULT '', port INTEGER NOT NULL DEFAULT 0, note TEXT)`;

let folder: string;
let opened: Store[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'coold-store-'));
  opened = [];
});

afterEach(() => {
  for (const store of opened) store.close();
  rmSync(folder, { recursive: true });
});

function open(name: string): Store {
  const store = openStore(join(folder, name), schema);
  opened.push(store);
  return store;
}

const run = (store: Store, sql: string, ...params: (string | bigint | null)[]) =>
  store.transact([{ sql, params }]).rows;
const rows = (store: Store) => store.read({ sql: 'SELECT * FROM services ORDER BY id', params: [] }).rows;
const all = (store: Store): Version[] => store.versionsSince(0).versions;
const exchange = (one: Store, two: Store) => {
  two.merge(all(one));
  one.merge(all(two));
};

test('what one copy writes, another has once it has merged it', () => {
  const [a, b] = [open('a'), open('b')];
  expect(run(a, 'INSERT INTO services (id, name, port) VALUES (?, ?, ?)', 's1', 'web', 80n)).toEqual([1]);
  b.merge(all(a));
  expect(rows(b)).toEqual([['s1', 'web', 80, null]]);
  run(b, "UPDATE services SET note = 'b' WHERE id = 's1'");
  a.merge(all(b));
  expect(rows(a)).toEqual([['s1', 'web', 80, 'b']]);
});

test('a row may be written several times in one transaction, as inserts that become updates too', () => {
  const a = open('a');
  const upsert = {
    sql: "INSERT INTO services (id, name) VALUES ('s1', ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name",
    params: ['web'],
  };
  a.transact([upsert, upsert, { ...upsert, params: ['api'] }]);
  a.transact([upsert]);
  expect(rows(a)).toEqual([['s1', 'web', 0, null]]);
});

test('columns written on two sides are both kept; of one column the one written more often, on both', () => {
  const [a, b] = [open('a'), open('b')];
  run(a, "INSERT INTO services (id) VALUES ('s1')");
  exchange(a, b);
  run(a, "UPDATE services SET name = 'from a', port = 1");
  run(a, 'UPDATE services SET port = 3');
  // Later, and written once alone.
  run(b, "UPDATE services SET note = 'from b', port = 9");
  exchange(a, b);
  expect(rows(a)).toEqual([['s1', 'from a', 3, 'from b']]);
  expect(rows(b)).toEqual(rows(a));
});

test('of a column that was written as often on either side the greater value wins, on both', () => {
  const [a, b] = [open('a'), open('b')];
  run(b, "INSERT INTO services (id, name, port) VALUES ('s1', 'b', 1)");
  run(a, "INSERT INTO services (id, name, port) VALUES ('s1', 'a', 2)");
  exchange(a, b);
  expect([rows(a), rows(b)]).toEqual([[['s1', 'b', 2, null]], [['s1', 'b', 2, null]]]);
});

test('a deleted row stays deleted when another side, not knowing, writes to it; a new row with its key has none of the old values', () => {
  const [a, b] = [open('a'), open('b')];
  run(a, "INSERT INTO services VALUES ('s1', 'web', 80, 'old')");
  exchange(a, b);
  run(a, "DELETE FROM services WHERE id = 's1'");
  run(b, "UPDATE services SET port = 81 WHERE id = 's1'");
  exchange(a, b);
  expect([rows(a), rows(b)]).toEqual([[], []]);
  run(b, "INSERT INTO services (id, name) VALUES ('s1', 'web')");
  exchange(a, b);
  expect([rows(a), rows(b)]).toEqual([[['s1', 'web', 0, null]], [['s1', 'web', 0, null]]]);
});

test('merging is the same in any order, any number of times, and through a third', () => {
  const [a, b, c, d] = [open('a'), open('b'), open('c'), open('d')];
  run(a, "INSERT INTO services (id, name) VALUES ('s1', 'a'), ('s2', 'a')");
  run(b, "INSERT INTO services (id, name) VALUES ('s1', 'b'), ('s3', 'b')");
  run(a, "DELETE FROM services WHERE id = 's2'");
  const versions = [...all(a), ...all(b)];
  for (const version of versions) c.merge([version]);
  for (const version of versions.toReversed()) d.merge([version, version]);
  expect(rows(c)).toEqual([
    ['s1', 'b', 0, null],
    ['s3', 'b', 0, null],
  ]);
  expect(rows(d)).toEqual(rows(c));
  a.merge(all(c));
  expect(rows(a)).toEqual(rows(c));
});

test('what is merged is passed on once, and nothing when it was known', () => {
  const [a, b] = [open('a'), open('b')];
  run(a, "INSERT INTO services (id) VALUES ('s1')");
  const { position } = a.versionsSince(0);
  b.merge(all(a));
  const touched: unknown[] = [];
  a.onCommit(rows => touched.push(rows));
  a.merge(all(b));
  expect(a.versionsSince(position).versions).toEqual([]);
  expect(touched).toEqual([]);
});

test('a transaction is all or nothing', () => {
  const a = open('a');
  const insert = { sql: "INSERT INTO services (id) VALUES ('s1')", params: [] };
  expect(() => a.transact([insert, { sql: 'INSERT INTO nowhere VALUES (1)', params: [] }])).toThrow(
    'no such table',
  );
  expect([rows(a), all(a)]).toEqual([[], []]);
  expect(() => a.transact([insert, insert])).toThrow('UNIQUE');
  expect(rows(a)).toEqual([]);
});

test('a transaction that changes something has the next version of this copy, also after a restart', () => {
  const [a, b] = [open('a'), open('b')];
  const put = (id: string) => ({ sql: 'INSERT OR REPLACE INTO services (id) VALUES (?)', params: [id] });
  expect([a.transact([put('1'), put('2')]).version, a.transact([put('3')]).version]).toEqual([1, 2]);
  expect(a.transact([{ sql: "DELETE FROM services WHERE id = 'none'", params: [] }]).version).toBeNull();
  b.merge(all(a));
  expect(b.transact([put('4')]).version).toBe(1);
  expect(open('a').transact([put('5')]).version).toBe(3);
});

test('a statement that writes nothing has written no rows, whatever was written before it', () => {
  const store = open('a');
  const statements = [
    "INSERT INTO services (id) VALUES ('a'), ('b')",
    'SELECT * FROM services',
    "UPDATE services SET port = 1 WHERE id = 'a' RETURNING id",
    "DELETE FROM services WHERE id = 'none'",
    'DELETE FROM services',
    'SELECT 1',
  ];
  expect(store.transact(statements.map(sql => ({ sql, params: [] })))).toEqual({
    rows: [2, 0, 1, 0, 2, 0],
    // In the end all is as it was before.
    version: null,
  });
});

test('the schema, the transaction and the own tables of the agent are out of reach; a query does not write', () => {
  const a = open('a');
  for (const sql of [
    'DROP TABLE services',
    'COMMIT',
    'PRAGMA user_version = 1',
    'DELETE FROM __corro_versions',
  ])
    expect(() => run(a, sql), sql).toThrow('only INSERT');
  expect(() => a.read({ sql: "INSERT INTO services (id) VALUES ('s1') RETURNING *", params: [] })).toThrow(
    'readonly',
  );
});

test('a copy that is opened again is the same one, with columns that its schema has gained', () => {
  const first = open('a');
  run(first, "INSERT INTO services (id) VALUES ('s1')");
  const again = openStore(
    join(folder, 'a'),
    schema.replace('note TEXT', "note TEXT, zone TEXT NOT NULL DEFAULT 'z'"),
  );
  opened.push(again);
  expect(again.site).toBe(first.site);
  expect(rows(again)).toEqual([['s1', '', 0, null, 'z']]);
  run(again, "UPDATE services SET zone = 'y'");
  expect(all(again).at(-1)).toMatchObject({ column: 'zone', value: 'y' });
});

test('a schema that cannot be replicated is refused by name', () => {
  const opening = (sql: string) => () => openStore(join(folder, 'refused'), sql).close();
  expect(opening('CREATE TABLE t (a TEXT)')).toThrow('table t has no primary key');
  expect(opening('CREATE TABLE t (a TEXT NOT NULL PRIMARY KEY, b TEXT NOT NULL)')).toThrow(
    'column b is NOT NULL',
  );
  expect(opening('CREATE TABLE t (a TEXT NOT NULL PRIMARY KEY, b TEXT UNIQUE)')).toThrow('unique index');
});
