import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';

/**
 * What one column of one row was last set to, how often it had been set by then, and by whom; column '' is the row itself: 1
 * there, 0 deleted. No clock of any host plays a part.
 */
export interface Version {
  table: string;
  /** The row's key as a JSON list. */
  key: string;
  column: string;
  value: SQLOutputValue;
  count: number;
  site: string;
}

/** The latest version of every column, deleted rows included; each learned at a position that only grows. */
export interface Versions {
  ofRow(table: string, key: string): Map<string, SQLOutputValue>;
  /** Sets it on top of all that is known here. */
  set(version: Omit<Version, 'count'>): void;
  /** Takes it if it was set more often than what is there; of two that were set as often, the one of the greater value. */
  merge(version: Version): boolean;
  since(position: number): { position: number; versions: Version[] };
}

/** Most versions handed out at once; a reader asks again for the rest. */
const batch = 5000;

export function openVersions(db: DatabaseSync): Versions {
  // `value` has no type so that SQLite keeps each as it is.
  db.exec(`CREATE TABLE IF NOT EXISTS __corro_versions (
    tbl TEXT NOT NULL, key TEXT NOT NULL, col TEXT NOT NULL, value, count INTEGER NOT NULL, site TEXT NOT NULL,
    position INTEGER NOT NULL, PRIMARY KEY (tbl, key, col)) WITHOUT ROWID`);
  db.exec('CREATE UNIQUE INDEX IF NOT EXISTS __corro_positions ON __corro_versions (position)');
  const ofRow = db.prepare('SELECT col, value FROM __corro_versions WHERE tbl = ? AND key = ?');
  const stamp = db.prepare(
    'SELECT count, value, site FROM __corro_versions WHERE tbl = ? AND key = ? AND col = ?',
  );
  const top = db.prepare('SELECT coalesce(max(position), 0) AS top FROM __corro_versions');
  const put = db.prepare('INSERT OR REPLACE INTO __corro_versions VALUES (?, ?, ?, ?, ?, ?, ?)');
  const since = db.prepare('SELECT * FROM __corro_versions WHERE position > ? ORDER BY position LIMIT ?');
  const topPosition = () => Number(top.get()?.['top']);
  const place = (version: Version) => {
    const { table, key, column, value, site } = version;
    put.run(table, key, column, asBound(value), BigInt(version.count), site, BigInt(topPosition() + 1));
  };
  return {
    ofRow: (table, key) =>
      new Map(ofRow.all(table, key).map(({ col, value }) => [String(col), value ?? null])),
    set(version) {
      const known = stamp.get(version.table, version.key, version.column);
      place({ ...version, count: Number(known?.['count'] ?? 0) + 1 });
    },
    merge(version) {
      const known = stamp.get(version.table, version.key, version.column);
      if (known !== undefined) {
        const order =
          version.count - Number(known['count']) ||
          compare(version.value, known['value'] ?? null) ||
          (version.site > String(known['site']) ? 1 : -1);
        if (version.site === String(known['site']) && version.count === Number(known['count'])) return false;
        if (order < 0) return false;
      }
      place(version);
      return true;
    },
    since(position) {
      const rows = since.all(position, batch);
      const versions = rows.map(row => ({
        table: String(row['tbl']),
        key: String(row['key']),
        column: String(row['col']),
        value: row['value'] ?? null,
        count: Number(row['count']),
        site: String(row['site']),
      }));
      return { position: Number(rows.at(-1)?.['position'] ?? position), versions };
    },
  };
}

/** As SQLite orders values: NULL, numbers, text, bytes. */
function compare(a: SQLOutputValue, b: SQLOutputValue): number {
  const rank = (value: SQLOutputValue) => {
    if (value === null) return 0;
    if (typeof value === 'string') return 2;
    return value instanceof Uint8Array ? 3 : 1;
  };
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  if (a === null || b === null || a === b) return 0;
  return a > b ? 1 : -1;
}

/** Ready to be bound: a whole number as one, which as a double would become "80.0" in a column of text. */
export function asBound(value: SQLOutputValue): SQLInputValue {
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
}
