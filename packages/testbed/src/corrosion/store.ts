import { randomBytes } from 'node:crypto';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { applySchema, quoted, type Table } from './schema.ts';
import { BadSql, type Statement } from './statement.ts';
import { asBound, openVersions, type Version } from './versions.ts';

export type { Version } from './versions.ts';
export type Value = SQLOutputValue;

/** A row that a commit wrote or removed, by its key. */
export interface Touched {
  table: string;
  key: Value[];
  alive: boolean;
}

/** What a transaction did. */
export interface Transacted {
  /** The number of rows that each statement wrote. */
  rows: number[];
  /** One higher than that of the last transaction that changed something; null where this one did not. */
  version: number | null;
}

/** One agent's copy of the tables, with what it takes to merge them with others' copies. */
export interface Store {
  /** Names this copy among all agents; a database that is made anew has another. */
  site: string;
  tables: ReadonlyMap<string, Table>;
  /** Runs the statements in one transaction: all or nothing. */
  transact(statements: readonly Statement[]): Transacted;
  /** Runs a statement that only reads; rows as lists. @throws BadSql */
  read(statement: Statement): { columns: string[]; rows: Value[][] };
  /** The same, before it runs. @throws BadSql */
  prepareRead(statement: Statement): { columns: string[]; rows(): Value[][] };
  /** What this copy has learned after its position `since`, its own writes and others', oldest first. */
  versionsSince(since: number): { position: number; versions: Version[] };
  /** Takes in what another copy has learned; what is older than what is here changes nothing. */
  merge(versions: readonly Version[]): void;
  /** Calls back after each commit that wrote rows. */
  onCommit(listener: (touched: Touched[]) => void): () => void;
  close(): void;
}

export function openStore(path: string, schema: string): Store {
  const db = new DatabaseSync(path);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
  db.exec('CREATE TABLE IF NOT EXISTS __corro_site (id TEXT NOT NULL)');
  db.prepare('INSERT INTO __corro_site SELECT ? WHERE NOT EXISTS (SELECT 1 FROM __corro_site)').run(
    randomBytes(8).toString('hex'),
  );
  db.exec('CREATE TABLE IF NOT EXISTS __corro_db_version (version INTEGER NOT NULL)');
  db.exec('INSERT INTO __corro_db_version SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM __corro_db_version)');
  const site = String(db.prepare('SELECT id FROM __corro_site').get()?.['id']);
  const tables = applySchema(db, schema);
  const versions = openVersions(db);
  watchWrites(db, tables);
  // A connection of its own that cannot write: a query is not taken at its word.
  const reader = new DatabaseSync(path, { readOnly: true });
  const listeners = new Set<(touched: Touched[]) => void>();

  const inTransaction = <T>(work: () => { result: T; touched: Touched[] }): T => {
    db.exec('BEGIN IMMEDIATE');
    let done: { result: T; touched: Touched[] };
    try {
      done = work();
      db.exec('DELETE FROM temp.touched');
      db.exec('COMMIT');
    } catch (error) {
      db.exec('ROLLBACK');
      throw error;
    }
    if (done.touched.length > 0) for (const listener of listeners) listener(done.touched);
    return done.result;
  };

  const rowOf = (table: Table, key: readonly SQLInputValue[]) =>
    db.prepare(`SELECT * FROM ${quoted(table.name)} WHERE ${matchKey(table)}`).get(...key);

  /** Gives what the statements of this transaction wrote its versions. */
  const versionWrites = (): Touched[] => {
    const written: Touched[] = [];
    for (const { tbl, key } of db.prepare('SELECT tbl, key FROM temp.touched').all()) {
      const table = tables.get(String(tbl));
      if (table === undefined) continue;
      const keyValues = JSON.parse(String(key)) as Value[];
      const row = rowOf(table, keyValues);
      const known = versions.ofRow(table.name, String(key));
      const wasAlive = known.get('') === 1;
      const write = (column: string, value: Value) =>
        versions.set({ table: table.name, key: String(key), column, value, site });
      let changed = wasAlive !== (row !== undefined);
      // '' stands for the row itself: 1 there, 0 deleted.
      if (changed) write('', row === undefined ? 0 : 1);
      for (const column of row === undefined ? [] : table.columns) {
        const value = row?.[column] ?? null;
        // A row that is back has nothing of the one that was deleted, equal values included.
        if (wasAlive && same(known.get(column), value)) continue;
        write(column, value);
        changed = true;
      }
      if (changed) written.push({ table: table.name, key: keyValues, alive: row !== undefined });
    }
    return written;
  };

  const nextDbVersion = () =>
    Number(
      db.prepare('UPDATE __corro_db_version SET version = version + 1 RETURNING version').get()?.['version'],
    );

  /** Makes the row what its versions say. */
  const materialise = (table: Table, key: string): Touched => {
    const known = versions.ofRow(table.name, key);
    const keyValues = JSON.parse(key) as Value[];
    const alive = known.get('') === 1;
    if (!alive) {
      db.prepare(`DELETE FROM ${quoted(table.name)} WHERE ${matchKey(table)}`).run(...keyValues);
    } else {
      const present = table.columns.filter(column => known.has(column));
      const names = [...table.key, ...present];
      const sql = `INSERT OR REPLACE INTO ${quoted(table.name)} (${names.map(quoted).join(', ')})
        VALUES (${names.map(() => '?').join(', ')})`;
      db.prepare(sql).run(
        ...[...keyValues, ...present.map(column => known.get(column) ?? null)].map(asBound),
      );
    }
    return { table: table.name, key: keyValues, alive };
  };

  const prepareRead = (statement: Statement) => {
    const prepared = prepareOne(reader, statement.sql);
    prepared.setReturnArrays(true);
    const columns = prepared.columns().map(column => column.name);
    if (columns.length === 0) throw new BadSql('statement is not readonly');
    const rows = () => bound(statement, prepared.all.bind(prepared)) as unknown as Value[][];
    return { columns, rows };
  };

  return {
    site,
    tables,
    transact: statements =>
      inTransaction(() => {
        const rows = statements.map(statement => runWrite(db, statement));
        const touched = versionWrites();
        const version = touched.length === 0 ? null : nextDbVersion();
        return { result: { rows, version }, touched };
      }),
    prepareRead,
    read(statement) {
      const { columns, rows } = prepareRead(statement);
      return { columns, rows: rows() };
    },
    versionsSince: versions.since,
    merge: incoming =>
      inTransaction(() => {
        const rows = new Map<string, { table: Table; key: string }>();
        for (const version of incoming) {
          const table = tables.get(version.table);
          if (versions.merge(version) && table !== undefined)
            rows.set(JSON.stringify([version.table, version.key]), { table, key: version.key });
        }
        return {
          result: undefined,
          touched: [...rows.values()].map(({ table, key }) => materialise(table, key)),
        };
      }),
    onCommit(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      reader.close();
      db.close();
    },
  };
}

/** Notes the key of every row that a statement of this connection writes. */
function watchWrites(db: DatabaseSync, tables: ReadonlyMap<string, Table>): void {
  db.exec('CREATE TEMP TABLE touched (tbl TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (tbl, key))');
  for (const { name, key } of tables.values()) {
    const note = (row: 'NEW' | 'OLD') => {
      const values = key.map(column => `${row}.${quoted(column)}`).join(', ');
      const noted = `'${name.replaceAll("'", "''")}' AS t, json_array(${values}) AS k`;
      // Not INSERT OR IGNORE: within an upsert SQLite takes the conflict clause of the upsert instead.
      return `INSERT INTO touched SELECT t, k FROM (SELECT ${noted}) WHERE NOT EXISTS (SELECT 1 FROM touched WHERE tbl = t AND key = k);`;
    };
    const on = `ON main.${quoted(name)} BEGIN`;
    db.exec(`CREATE TEMP TRIGGER ${quoted(`${name} inserted`)} AFTER INSERT ${on} ${note('NEW')} END`);
    db.exec(
      `CREATE TEMP TRIGGER ${quoted(`${name} updated`)} AFTER UPDATE ${on} ${note('OLD')} ${note('NEW')} END`,
    );
    db.exec(`CREATE TEMP TRIGGER ${quoted(`${name} deleted`)} AFTER DELETE ${on} ${note('OLD')} END`);
  }
}

function runWrite(db: DatabaseSync, statement: Statement): number {
  // The schema and the transaction are the agent's own affair.
  if (
    !/^\s*(insert|replace|update|delete|with|select)\b/i.test(statement.sql) ||
    /\b__corro_/i.test(statement.sql)
  )
    throw new Error('only INSERT, UPDATE, DELETE and SELECT are taken');
  const prepared = prepareOne(db, statement.sql);
  const total = db.prepare('SELECT total_changes() AS total');
  const before = total.get()?.['total'];
  const { changes } = bound(statement, prepared.run.bind(prepared));
  // After one that writes nothing, SQLite's `changes` still is that of the statement before.
  return total.get()?.['total'] === before ? 0 : Number(changes);
}

/** SQLite prepares the first statement of a text and passes over the others in silence. @throws BadSql */
function prepareOne(db: DatabaseSync, sql: string): StatementSync {
  let prepared: StatementSync;
  try {
    prepared = db.prepare(sql);
    prepared.setAllowBareNamedParameters(false);
  } catch (error) {
    throw new BadSql((error as Error).message);
  }
  const rest = sql.slice(prepared.sourceSQL.length).replaceAll(/--[^\n]*|\/\*.*?\*\/|[\s;]/gs, '');
  if (rest !== '') throw new BadSql('expected one statement');
  return prepared;
}

/** Calls with the statement's parameters, in the two ways that node:sqlite takes them. */
function bound<T>(
  { params }: Statement,
  call: {
    (...values: SQLInputValue[]): T;
    (named: Record<string, SQLInputValue>, ...values: SQLInputValue[]): T;
  },
): T {
  return Array.isArray(params) ? call(...params) : call(params);
}

function matchKey(table: Table): string {
  return table.key.map(column => `${quoted(column)} = ?`).join(' AND ');
}

function same(a: Value | undefined, b: Value): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.from(a).equals(b);
  return a === b;
}
