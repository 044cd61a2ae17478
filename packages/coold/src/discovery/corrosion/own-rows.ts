import type { Corrosion, Statement } from '@coold/corrosion';

/** A table in which each host writes rows of its own. */
export interface OwnTable<Row> {
  /** Selects the rows that this host wrote. */
  select: Statement;
  /** Reads a selected row. undefined: the row is unreadable, and without a key that could remove it. */
  read(values: readonly unknown[]): Row | undefined;
  keyOf(row: Row): string;
  isSame(a: Row, b: Row): boolean;
  upsert(row: Row): Statement;
  remove(row: Row): Statement;
}

/** The number of statements in one transaction. The agent holds its lock meanwhile, and bounds what it reads. */
const statementsAtOnce = 500;

/** This host's rows of one table in Corrosion, as Corrosion acknowledged them last. */
export class OwnRows<Row> {
  readonly #corrosion: Corrosion;
  readonly #table: OwnTable<Row>;
  /** The acknowledged rows by key. undefined: they are in doubt, so the next write reads them back first. */
  #written: Map<string, Row> | undefined;

  constructor(corrosion: Corrosion, table: OwnTable<Row>) {
    this.#corrosion = corrosion;
    this.#table = table;
  }

  /** Returns the acknowledged rows; a row is the same object until it is written again. undefined: they are in doubt. */
  written(): ReadonlyMap<string, Row> | undefined {
    return this.#written;
  }

  /** Records that the acknowledged rows may not be those in the database. */
  doubt(): void {
    this.#written = undefined;
  }

  /**
   * Writes what differs from the acknowledged rows. They are in doubt at the start, after an error, and after `doubt`.
   *
   * @param wanted by key
   * @param isLeft whether a row stays although it is not wanted
   * @returns how many rows were written or removed
   * @throws CorrosionError
   */
  async write(
    wanted: ReadonlyMap<string, Row>,
    isLeft: (row: Row) => boolean,
    signal: AbortSignal,
  ): Promise<number> {
    const { keyOf, isSame, upsert, remove } = this.#table;
    const before = this.#written ?? (await this.#readBack(signal));
    // In doubt until all of it is acknowledged: a transaction whose answer was lost may have been done.
    this.#written = undefined;
    const { upserts, removals } = diffRows(wanted, before, isSame);
    const removed = removals.filter(row => !isLeft(row));
    const statements = [...removed.map(remove), ...upserts.map(upsert)];
    for (let from = 0; from < statements.length; from += statementsAtOnce)
      await this.#corrosion.execute(statements.slice(from, from + statementsAtOnce), signal);
    for (const row of removed) before.delete(keyOf(row));
    for (const row of upserts) before.set(keyOf(row), row);
    this.#written = before;
    return statements.length;
  }

  async #readBack(signal: AbortSignal): Promise<Map<string, Row>> {
    const { select, read, keyOf } = this.#table;
    const rows = new Map<string, Row>();
    const onRow = (values: unknown[]) => {
      const row = read(values);
      if (row !== undefined) rows.set(keyOf(row), row);
    };
    await this.#corrosion.query(select, onRow, signal);
    return rows;
  }
}

/** Returns what to write and what to remove so that the written rows, by key, become the wanted ones. Pure. */
export function diffRows<Row>(
  wanted: ReadonlyMap<string, Row>,
  written: ReadonlyMap<string, Row>,
  isSame: (a: Row, b: Row) => boolean,
): { upserts: Row[]; removals: Row[] } {
  const upserts = [...wanted].filter(([key, row]) => {
    const before = written.get(key);
    return before === undefined || !isSame(before, row);
  });
  const removals = [...written].filter(([key]) => !wanted.has(key));
  return { upserts: upserts.map(([, row]) => row), removals: removals.map(([, row]) => row) };
}
