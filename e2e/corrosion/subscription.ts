import { randomUUID } from 'node:crypto';
import { quoted, type Table } from './schema.ts';
import { BadStatement, type Statement } from './statement.ts';
import type { Store, Touched, Value } from './store.ts';

/** One line of a subscription's or query's answer. */
export type Frame =
  | { columns: string[] }
  | { row: [rowid: number, values: Value[]] }
  | { eoq: { time: number; change_id?: number } }
  | { change: [kind: 'insert' | 'update' | 'delete', rowid: number, values: Value[], changeId: number] }
  | { error: string };

/** A query whose answer is followed; everyone who sends the same statement follows the same one. */
export interface Subscription {
  id: string;
  /**
   * What a newcomer is sent first, as it is now. With `from`, only the changes after that one; undefined when they cannot
   * be told. The end of the rows says how long they took since `started` (of `performance.now`; default: since this call).
   */
  catchUp(options: { from?: number; skipRows: boolean; started?: number }): Iterable<Frame> | undefined;
  /** Calls back with every change from now on; an error is the last call. */
  follow(listener: (frame: Frame) => void): () => void;
}

export interface Subscriptions {
  /** The subscription of this statement, made when it is the first. @throws BadStatement for a statement that cannot be followed */
  of(statement: Statement): Subscription;
  byId(id: string): Subscription | undefined;
}

/** Changes kept for those who come back; older ones are forgotten. */
const keptChanges = 10_000;

/** How long, and how many, subscriptions that nobody reads are kept for those who come back: each costs at every commit. */
const idleDefaults = { idleMs: 600_000, maxIdle: 100, now: () => performance.now() };

export function createSubscriptions(store: Store, { idleMs, maxIdle, now } = idleDefaults): Subscriptions {
  const byStatement = new Map<string, ReturnType<typeof createSubscription>>();
  // Greater than any change id of a subscription that is no more: who comes back to the next one of the same statement
  // with such an id has to start over, since nobody knows what has happened between the two.
  let firstId = 0;
  const drop = (key: string, subscription: ReturnType<typeof createSubscription>) => {
    firstId = Math.max(firstId, subscription.lastChange() + 1);
    byStatement.delete(key);
  };
  const dropIdle = () => {
    const idle = [...byStatement]
      .flatMap(([key, subscription]) => {
        const since = subscription.idleSince();
        return since === undefined ? [] : [{ key, subscription, since }];
      })
      .sort((a, b) => a.since - b.since);
    for (const [n, { key, subscription, since }] of idle.entries())
      if (idle.length - n > maxIdle || now() - since > idleMs) drop(key, subscription);
  };
  store.onCommit(touched => {
    dropIdle();
    for (const [key, subscription] of byStatement) {
      try {
        subscription.update(touched);
      } catch (error) {
        // The commit is done and others follow it too: this is the affair of its own readers.
        drop(key, subscription);
        subscription.fail((error as Error).message);
      }
    }
  });
  return {
    of(statement) {
      const key = JSON.stringify(
        [statement.sql.trim().replaceAll(/\s+/g, ' '), statement.params],
        (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value),
      );
      dropIdle();
      const made = byStatement.get(key) ?? createSubscription(store, statement, firstId, now);
      byStatement.set(key, made);
      made.touch();
      return made;
    },
    byId: id => [...byStatement.values()].find(subscription => subscription.id === id),
  };
}

function createSubscription(store: Store, statement: Statement, firstId: number, now: () => number) {
  const { table, sql } = withKey(statement.sql, store.tables);
  const keyed = { ...statement, sql };
  const columns = store.read(statement).columns;
  const split = (row: Value[]) => ({
    key: JSON.stringify(row.slice(0, table.key.length)),
    values: row.slice(table.key.length),
  });
  const rows = new Map<string, { rowid: number; values: Value[] }>();
  /** A row keeps its number when it leaves the answer and comes back. */
  const rowids = new Map<string, number>();
  const listeners = new Set<(frame: Frame) => void>();
  const changes: { id: number; frame: Frame }[] = [];
  let changeId = firstId;
  let touched = now();

  const rowidOf = (key: string) => {
    const rowid = rowids.get(key) ?? rowids.size + 1;
    rowids.set(key, rowid);
    return rowid;
  };
  for (const row of store.read(keyed).rows) {
    const { key, values } = split(row);
    rows.set(key, { rowid: rowidOf(key), values });
  }

  const emit = (kind: 'insert' | 'update' | 'delete', rowid: number, values: Value[]) => {
    changeId += 1;
    const frame: Frame = { change: [kind, rowid, values, changeId] };
    changes.push({ id: changeId, frame });
    if (changes.length > keptChanges) changes.shift();
    for (const listener of listeners) listener(frame);
  };

  /** Looks again at the rows that were written, and at no others. */
  const update = (touched: readonly Touched[]) => {
    const match = table.key.map((_, n) => `__key${n} = :__value${n}`).join(' AND ');
    for (const { key: keyValues } of touched.filter(one => one.table === table.name)) {
      const key = JSON.stringify(keyValues);
      const before = rows.get(key);
      const now = store.read(forOneRow(keyed, match, keyValues)).rows[0];
      if (now === undefined) {
        if (before === undefined) continue;
        rows.delete(key);
        emit('delete', before.rowid, before.values);
        continue;
      }
      const { values } = split(now);
      if (before !== undefined && JSON.stringify(before.values) === JSON.stringify(values)) continue;
      const rowid = rowidOf(key);
      rows.set(key, { rowid, values });
      emit(before === undefined ? 'insert' : 'update', rowid, values);
    }
  };

  return {
    id: randomUUID(),
    update,
    fail(message: string) {
      for (const listener of listeners) listener({ error: message });
      listeners.clear();
    },
    lastChange: () => changeId,
    /** Since when nobody reads it; undefined while somebody does. */
    idleSince: () => (listeners.size === 0 ? touched : undefined),
    touch() {
      touched = now();
    },
    catchUp({ from, skipRows, started = performance.now() }: Parameters<Subscription['catchUp']>[0]) {
      if (from !== undefined && from > 0) {
        // Ids of another life of the agent: nobody can tell what has happened since.
        if (from > changeId || from < firstId) return undefined;
        return changes.filter(({ id }) => id > from).map(({ frame }) => frame);
      }
      return framesOf(columns, skipRows ? [] : [...rows.values()], changeId, started);
    },
    follow(listener: (frame: Frame) => void) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
        touched = now();
      };
    },
  };
}

function* framesOf(
  columns: string[],
  rows: { rowid: number; values: Value[] }[],
  change_id: number,
  started: number,
): Generator<Frame> {
  yield { columns };
  for (const { rowid, values } of rows) yield { row: [rowid, values] };
  yield { eoq: { time: (performance.now() - started) / 1000, change_id } };
}

/** The statement as a query of its own with one row left of it; SQLite looks that row up by its key. */
function forOneRow(keyed: Statement, match: string, key: readonly Value[]): Statement {
  if (!Array.isArray(keyed.params)) {
    const values = Object.fromEntries(key.map((value, n) => [`__value${n}`, value]));
    return { sql: `SELECT * FROM (${keyed.sql}\n) WHERE ${match}`, params: { ...keyed.params, ...values } };
  }
  const positional = match.replaceAll(/:__value\d+/g, '?');
  return { sql: `SELECT * FROM (${keyed.sql}\n) WHERE ${positional}`, params: [...keyed.params, ...key] };
}

/** The statement with the key of its table before its own columns. Pure. @throws BadStatement when it is none of one table's */
export function withKey(sql: string, tables: ReadonlyMap<string, Table>): { table: Table; sql: string } {
  const unsupported = 'a subscription takes SELECT columns FROM one table [WHERE condition]';
  const text = sql.trim().replace(/;$/, '');
  const [, body, name, alias] =
    /^select\s+(.*?\sfrom\s+"?(\w+)"?(?:\s+(?:as\s+)?(?!where\b)(\w+))?(?:\s+where\s.*)?)$/is.exec(text) ??
    [];
  if (body === undefined || name === undefined) throw new BadStatement(unsupported);
  if (
    /^distinct\b|\b(join|group\s+by|order\s+by|limit|union|having|count|sum|max|min|avg)\b/i.test(
      withoutLiterals(body),
    )
  )
    throw new BadStatement(unsupported);
  const table = tables.get(name);
  if (table === undefined) throw new BadStatement(`no such table: ${name}`);
  const key = table.key
    .map((column, n) => `${quoted(alias ?? name)}.${quoted(column)} AS __key${n}`)
    .join(', ');
  return { table, sql: `SELECT ${key}, ${body}` };
}

function withoutLiterals(sql: string): string {
  return sql.replaceAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"/g, "''");
}
