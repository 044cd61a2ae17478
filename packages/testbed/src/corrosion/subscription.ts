import { randomUUID } from 'node:crypto';
import { quoted, type Table } from './schema.ts';
import { BadSql, parseStatement, type Statement } from './statement.ts';
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
   * What a newcomer is sent first, as it is now. With `from`, only the changes after that one; 0 is like none. The end of the
   * rows says how long they took since `started` (of `performance.now`; default: since this call). `isOver`: nothing comes
   * after these frames, since the changes that were asked for are no longer known.
   */
  catchUp(options: { from?: number; skipRows: boolean; started?: number }): {
    frames: Iterable<Frame>;
    isOver: boolean;
  };
  /** Calls back with every change from now on; an error is the last call. */
  follow(listener: (frame: Frame) => void): () => void;
}

export interface Subscriptions {
  /** The subscription of this statement, made when it is the first. @throws BadSql for a statement that cannot be followed */
  of(statement: Statement): Subscription;
  has(statement: Statement): boolean;
  byId(id: string): Subscription | undefined;
  /** Looks at what was written last; what is still kept then can be restored by the next life of the agent. */
  close(): KeptSubscription[];
}

/** What outlives an orderly stop of the agent. The rows are those of the subscription, whatever becomes of the database. */
export interface KeptSubscription {
  id: string;
  statement: { sql: string; params: unknown };
  rows: [key: string, rowid: number, values: Value[]][];
  changes: Frame[];
  lastChange: number;
  lastRowid: number;
}

export interface SubscriptionsOptions {
  /** How long, and how many, subscriptions without readers are kept for readers that come back: each costs at every commit. */
  idleMs?: number;
  maxIdle?: number;
  /** Changes are gathered for this long, ms; 0: not at all. */
  batchMs?: number;
  /** Of an earlier life, after an orderly stop. */
  kept?: readonly KeptSubscription[];
  now?: () => number;
}

/** Changes kept for those who come back; older ones are forgotten. */
const keptChanges = 500;

export function createSubscriptions(store: Store, options: SubscriptionsOptions = {}): Subscriptions {
  const {
    idleMs = 600_000,
    maxIdle = 100,
    batchMs = 600,
    kept = [],
    now = () => performance.now(),
  } = options;
  const byStatement = new Map<string, ReturnType<typeof createSubscription>>();
  for (const one of kept) {
    const { sql, params } = one.statement;
    const statement = parseStatement({ query: sql, params });
    byStatement.set(keyOf(statement), createSubscription(store, statement, { now, batchMs, kept: one }));
  }
  const dropIdle = () => {
    const idle = [...byStatement]
      .flatMap(([key, subscription]) => {
        const since = subscription.idleSince();
        return since === undefined ? [] : [{ key, subscription, since }];
      })
      .sort((a, b) => a.since - b.since);
    for (const [n, { key, subscription, since }] of idle.entries())
      if (idle.length - n > maxIdle || now() - since > idleMs) {
        subscription.close();
        byStatement.delete(key);
      }
  };
  store.onCommit(touched => {
    dropIdle();
    for (const [key, subscription] of byStatement)
      subscription.update(touched, message => {
        // The commit is done and others follow it too: this is the affair of its own readers.
        byStatement.delete(key);
        subscription.fail(message);
      });
  });
  return {
    of(statement) {
      const key = keyOf(statement);
      dropIdle();
      const made = byStatement.get(key) ?? createSubscription(store, statement, { now, batchMs });
      byStatement.set(key, made);
      made.touch();
      return made;
    },
    has: statement => byStatement.has(keyOf(statement)),
    byId: id => [...byStatement.values()].find(subscription => subscription.id === id),
    close: () => [...byStatement.values()].map(subscription => subscription.close()),
  };
}

/** The same for the same statement. */
function keyOf({ sql, params }: Statement): string {
  return JSON.stringify([sql.trim().replaceAll(/\s+/g, ' '), plain(params)]);
}

/** Parameters as a statement's JSON has them. */
function plain(params: Statement['params']): unknown {
  return JSON.parse(
    JSON.stringify(params, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)),
  );
}

interface SubscriptionLife {
  now: () => number;
  batchMs: number;
  kept?: KeptSubscription;
}

function createSubscription(store: Store, statement: Statement, { now, batchMs, kept }: SubscriptionLife) {
  const { table, sql } = withKey(statement.sql, store.tables);
  const keyed = { ...statement, sql };
  const columns = store.prepareRead(statement).columns;
  const id = kept?.id ?? randomUUID();
  const split = (row: Value[]) => ({
    key: JSON.stringify(row.slice(0, table.key.length)),
    values: row.slice(table.key.length),
  });
  const rows = new Map<string, { rowid: number; values: Value[] }>();
  const listeners = new Set<(frame: Frame) => void>();
  let changes: { id: number; frame: Frame }[] = [];
  let changeId = kept?.lastChange ?? 0;
  let lastRowid = kept?.lastRowid ?? 0;
  let touchedAt = now();
  /** Written since the last look, by key. */
  const pending = new Map<string, Value[]>();
  let timer: NodeJS.Timeout | undefined;
  let onFailure = (_message: string) => {};

  const nextRowid = () => {
    lastRowid += 1;
    return lastRowid;
  };
  if (kept === undefined) {
    for (const row of store.read(keyed).rows) {
      const { key, values } = split(row);
      rows.set(key, { rowid: nextRowid(), values });
    }
  } else {
    for (const [key, rowid, values] of kept.rows) rows.set(key, { rowid, values });
    const first = kept.lastChange - kept.changes.length;
    changes = kept.changes.map((frame, n) => ({ id: first + n + 1, frame }));
  }

  const emit = (kind: 'insert' | 'update' | 'delete', rowid: number, values: Value[]) => {
    changeId += 1;
    const frame: Frame = { change: [kind, rowid, values, changeId] };
    changes.push({ id: changeId, frame });
    if (changes.length > keptChanges) changes.shift();
    for (const listener of listeners) listener(frame);
  };

  /** Looks again at the rows that were written, and at no others: what they are now, however often they changed. */
  const look = () => {
    clearTimeout(timer);
    timer = undefined;
    const match = table.key.map((_, n) => `__key${n} = :__value${n}`).join(' AND ');
    const gone: { rowid: number; values: Value[] }[] = [];
    for (const [key, keyValues] of pending) {
      const before = rows.get(key);
      const now = store.read(forOneRow(keyed, match, keyValues)).rows[0];
      if (now === undefined) {
        if (before === undefined) continue;
        rows.delete(key);
        gone.push(before);
        continue;
      }
      const { values } = split(now);
      if (before !== undefined && JSON.stringify(before.values) === JSON.stringify(values)) continue;
      const rowid = before?.rowid ?? nextRowid();
      rows.set(key, { rowid, values });
      emit(before === undefined ? 'insert' : 'update', rowid, values);
    }
    pending.clear();
    for (const { rowid, values } of gone) emit('delete', rowid, values);
  };
  const tryLook = () => {
    try {
      look();
    } catch (error) {
      pending.clear();
      onFailure((error as Error).message);
    }
  };

  return {
    id,
    update(touched: readonly Touched[], failed: (message: string) => void) {
      onFailure = failed;
      for (const { key } of touched.filter(one => one.table === table.name))
        pending.set(JSON.stringify(key), key);
      if (pending.size === 0) return;
      if (batchMs === 0) tryLook();
      else timer ??= setTimeout(tryLook, batchMs).unref();
    },
    fail(message: string) {
      for (const listener of listeners) listener({ error: message });
      listeners.clear();
    },
    /** Since when it has no reader. undefined: it has one. */
    idleSince: () => (listeners.size === 0 ? touchedAt : undefined),
    touch() {
      touchedAt = now();
    },
    catchUp({ from = 0, skipRows, started = performance.now() }: Parameters<Subscription['catchUp']>[0]) {
      if (from > 0) {
        const oldest = changes[0]?.id ?? 0;
        if (from + 1 < oldest) {
          const error = `subscription already deleted older changes, min change id: ${oldest}`;
          return { frames: [{ error }], isOver: true };
        }
        // One that is not reached yet, as after a database was put back, is no error.
        const frames = changes.filter(({ id }) => id > from).map(({ frame }) => frame);
        return { frames, isOver: false };
      }
      if (skipRows) return { frames: [], isOver: false };
      return { frames: framesOf(columns, [...rows.values()], changeId, started), isOver: false };
    },
    follow(listener: (frame: Frame) => void) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
        touchedAt = now();
      };
    },
    close(): KeptSubscription {
      // No reader is told any more.
      listeners.clear();
      tryLook();
      return {
        id,
        statement: { sql: statement.sql, params: plain(statement.params) },
        rows: [...rows].map(([key, { rowid, values }]) => [key, rowid, values]),
        changes: changes.map(({ frame }) => frame),
        lastChange: changeId,
        lastRowid,
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
    const values = Object.fromEntries(key.map((value, n) => [`:__value${n}`, value]));
    return { sql: `SELECT * FROM (${keyed.sql}\n) WHERE ${match}`, params: { ...keyed.params, ...values } };
  }
  const positional = match.replaceAll(/:__value\d+/g, '?');
  return { sql: `SELECT * FROM (${keyed.sql}\n) WHERE ${positional}`, params: [...keyed.params, ...key] };
}

/** The statement with the key of its table before its own columns. Pure. @throws BadSql when it is none of one table's */
export function withKey(sql: string, tables: ReadonlyMap<string, Table>): { table: Table; sql: string } {
  const unsupported = 'a subscription takes SELECT columns FROM one table [WHERE condition]';
  const text = sql.trim().replace(/;$/, '');
  const [, body, name, alias] =
    /^select\s+(.*?\sfrom\s+"?(\w+)"?(?:\s+(?:as\s+)?(?!where\b)(\w+))?(?:\s+where\s.*)?)$/is.exec(text) ??
    [];
  if (body === undefined || name === undefined) throw new BadSql(unsupported);
  if (
    /^distinct\b|\b(join|group\s+by|order\s+by|limit|union|having|count|sum|max|min|avg)\b/i.test(
      withoutLiterals(body),
    )
  )
    throw new BadSql(unsupported);
  const table = tables.get(name);
  if (table === undefined) throw new BadSql(`no such table: ${name}`);
  const key = table.key
    .map((column, n) => `${quoted(alias ?? name)}.${quoted(column)} AS __key${n}`)
    .join(', ');
  return { table, sql: `SELECT ${key}, ${body}` };
}

function withoutLiterals(sql: string): string {
  return sql.replaceAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"/g, "''");
}
