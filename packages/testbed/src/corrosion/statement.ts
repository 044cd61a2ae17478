import type { SQLInputValue } from 'node:sqlite';
import { BadRequest } from './http.ts';

/** A statement as the API's callers send it, made one shape. */
export interface Statement {
  sql: string;
  params: SQLInputValue[] | Record<string, SQLInputValue>;
}

/** What the body of a request should have been: JSON of another shape. */
export class BadStatement extends BadRequest {
  constructor(message: string) {
    super(message, { status: 422 });
  }
}

/** SQL that cannot be prepared, or not for this. */
export class BadSql extends BadRequest {
  constructor(message: string) {
    super(message, { isText: false });
  }
}

/**
 * Reads `"SQL"`, `["SQL", [params]]`, `["SQL", {named}]` or `{"query", "params" | "named_params"}`. Pure.
 *
 * @throws BadStatement
 */
export function parseStatement(body: unknown): Statement {
  if (typeof body === 'string') return { sql: body, params: [] };
  if (Array.isArray(body)) {
    const [sql, params, ...rest] = body as unknown[];
    if (typeof sql !== 'string' || rest.length > 0) throw new BadStatement('expected ["SQL", params]');
    return { sql, params: parseParams(params ?? []) };
  }
  if (isRecord(body) && typeof body['query'] === 'string')
    return { sql: body['query'], params: parseParams(body['params'] ?? body['named_params'] ?? []) };
  throw new BadStatement('expected "SQL", ["SQL", params] or {"query", "params"}');
}

function parseParams(params: unknown): Statement['params'] {
  if (Array.isArray(params)) return params.map(parseParam);
  // Their names bear the prefix that they have in SQL.
  if (isRecord(params))
    return Object.fromEntries(Object.entries(params).map(([key, value]) => [key, parseParam(value)]));
  throw new BadStatement('params: expected a list or an object');
}

function parseParam(value: unknown): SQLInputValue {
  if (value === null || typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 1n : 0n;
  // A whole number has to be bound as one: as a double it would become "80.0" in a column of text.
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value) && value.every(byte => Number.isInteger(byte) && byte >= 0 && byte <= 255))
    return Uint8Array.from(value);
  throw new BadStatement(
    `parameter ${JSON.stringify(value)}: expected null, boolean, number, string or bytes`,
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
