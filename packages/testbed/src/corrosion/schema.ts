import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** A replicated table. */
export interface Table {
  name: string;
  /** Columns of the primary key, in its order. */
  key: string[];
  /** The others. */
  columns: string[];
}

interface ColumnInfo {
  name: string;
  type: string;
  notnull: number;
  dflt_value: string | null;
  pk: number;
}

/** The text of all `.sql` files of files and folders, by name. */
export function readSchemas(paths: readonly string[]): string {
  const files = paths.flatMap(path =>
    statSync(path).isDirectory()
      ? readdirSync(path)
          .filter(name => name.endsWith('.sql'))
          .sort()
          .map(name => join(path, name))
      : [path],
  );
  return files.map(file => readFileSync(file, 'utf8')).join('\n;\n');
}

/**
 * Brings a database to a schema: missing tables, columns and indexes are added, nothing is taken away.
 *
 * @throws Error naming the table that cannot be replicated: one without a primary key, with a column that is not null
 *   and has no default (a row arrives column by column), or with a unique index beside the key (two hosts cannot agree)
 */
export function applySchema(db: DatabaseSync, schema: string): Map<string, Table> {
  const wanted = new DatabaseSync(':memory:');
  try {
    wanted.exec(schema);
    const objects = wanted
      .prepare("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
      .all() as unknown as { type: string; name: string; sql: string }[];
    const tables = new Map<string, Table>();
    for (const { name, sql } of objects.filter(({ type }) => type === 'table')) {
      const columns = columnsOf(wanted, name);
      checkTable(wanted, name, columns);
      const existing = columnsOf(db, name);
      if (existing.length === 0) db.exec(sql);
      else for (const column of columns) addColumn(db, name, existing, column);
      tables.set(name, {
        name,
        key: columns
          .filter(({ pk }) => pk > 0)
          .sort((a, b) => a.pk - b.pk)
          .map(column => column.name),
        columns: columns.filter(({ pk }) => pk === 0).map(column => column.name),
      });
    }
    for (const { name, sql } of objects.filter(({ type }) => type === 'index')) {
      if (db.prepare('SELECT 1 FROM sqlite_schema WHERE name = ?').get(name) === undefined) db.exec(sql);
    }
    return tables;
  } finally {
    wanted.close();
  }
}

/** The tables and indexes that a database has already. */
export function schemaOf(path: string): string {
  const db = new DatabaseSync(path);
  try {
    return db
      .prepare(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE '\\_\\_corro%' ESCAPE '\\'",
      )
      .all()
      .map(({ sql }) => String(sql))
      .join(';\n');
  } finally {
    db.close();
  }
}

function columnsOf(db: DatabaseSync, table: string): ColumnInfo[] {
  return db.prepare('SELECT * FROM pragma_table_info(?)').all(table) as unknown as ColumnInfo[];
}

function checkTable(db: DatabaseSync, table: string, columns: ColumnInfo[]): void {
  if (!columns.some(({ pk }) => pk > 0)) throw new Error(`table ${table} has no primary key`);
  for (const { name, notnull, dflt_value, pk } of columns) {
    if (notnull === 1 && dflt_value === null && pk === 0)
      throw new Error(`table ${table}: column ${name} is NOT NULL and has no default`);
    if (notnull === 0 && pk > 0) throw new Error(`table ${table}: key column ${name} is not NOT NULL`);
  }
  const unique = db
    .prepare(`SELECT 1 FROM pragma_index_list(?) WHERE "unique" = 1 AND origin <> 'pk'`)
    .get(table);
  if (unique !== undefined) throw new Error(`table ${table} has a unique index beside its key`);
}

function addColumn(db: DatabaseSync, table: string, existing: ColumnInfo[], column: ColumnInfo): void {
  if (existing.some(({ name }) => name === column.name)) return;
  const constraint = `${column.notnull === 1 ? ' NOT NULL' : ''}${column.dflt_value === null ? '' : ` DEFAULT ${column.dflt_value}`}`;
  db.exec(`ALTER TABLE ${quoted(table)} ADD COLUMN ${quoted(column.name)} ${column.type}${constraint}`);
}

/** An identifier for use in SQL. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
