import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';

/** What one column of one row was last set to, when and by whom; column '' is the row itself: 1 there, 0 deleted. */
export interface Version {
  table: string;
  /** The row's key as a JSON list. */
  key: string;
  column: string;
  value: SQLOutputValue;
  clock: number;
  site: string;
}

/** The latest version of every column, deleted rows included; each learned at a position that only grows. */
export interface Versions {
  ofRow(table: string, key: string): Map<string, SQLOutputValue>;
  set(version: Version): void;
  /** Sets it if it is later than what is there; of two writes of one clock, the one of the greater site. */
  merge(version: Version): boolean;
  since(position: number): { position: number; versions: Version[] };
  latestClock(): number;
}

/** Most versions handed out at once; a reader asks again for the rest. */
const batch = 5000;

export function openVersions(db: DatabaseSync): Versions {
  // `value` has no type so that SQLite keeps each as it is.
  db.exec(`CREATE TABLE IF NOT EXISTS __corro_versions (
    tbl TEXT NOT NULL, key TEXT NOT NULL, col TEXT NOT NULL, value, clock INTEGER NOT NULL, site TEXT NOT NULL,
    position INTEGER NOT NULL, PRIMARY KEY (tbl, key, col)) WITHOUT ROWID`);
  db.exec('CREATE UNIQUE INDEX IF NOT EXISTS __corro_positions ON __corro_versions (position)');
  db.exec('CREATE INDEX IF NOT EXISTS __corro_clocks ON __corro_versions (clock)');
  const ofRow = db.prepare('SELECT col, value FROM __corro_versions WHERE tbl = ? AND key = ?');
  const stamp = db.prepare('SELECT clock, site FROM __corro_versions WHERE tbl = ? AND key = ? AND col = ?');
  const top = db.prepare('SELECT coalesce(max(position), 0) AS top FROM __corro_versions');
  const clock = db.prepare('SELECT coalesce(max(clock), 0) AS clock FROM __corro_versions');
  const put = db.prepare('INSERT OR REPLACE INTO __corro_versions VALUES (?, ?, ?, ?, ?, ?, ?)');
  const since = db.prepare('SELECT * FROM __corro_versions WHERE position > ? ORDER BY position LIMIT ?');
  const topPosition = () => Number(top.get()?.['top']);
  const set = (version: Version) => {
    const { table, key, column, value, site } = version;
    put.run(table, key, column, asBound(value), BigInt(version.clock), site, BigInt(topPosition() + 1));
  };
  return {
    ofRow: (table, key) =>
      new Map(ofRow.all(table, key).map(({ col, value }) => [String(col), value ?? null])),
    set,
    merge(version) {
      const known = stamp.get(version.table, version.key, version.column);
      if (known !== undefined) {
        const order = version.clock - Number(known['clock']);
        if (order < 0 || (order === 0 && version.site <= String(known['site']))) return false;
      }
      set(version);
      return true;
    },
    since(position) {
      const rows = since.all(position, batch);
      const versions = rows.map(row => ({
        table: String(row['tbl']),
        key: String(row['key']),
        column: String(row['col']),
        value: row['value'] ?? null,
        clock: Number(row['clock']),
        site: String(row['site']),
      }));
      return { position: Number(rows.at(-1)?.['position'] ?? position), versions };
    },
    latestClock: () => Number(clock.get()?.['clock']),
  };
}

/** Ready to be bound: a whole number as one, which as a double would become "80.0" in a column of text. */
export function asBound(value: SQLOutputValue): SQLInputValue {
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
}
