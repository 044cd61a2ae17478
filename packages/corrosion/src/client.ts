import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { isObject, parseJson, readSecretFile } from '@coold/runtime';
import { Agent } from 'undici';
import { asCorrosionError, CorrosionError, refusalText } from './failure.ts';
import { type Frame, parseFrame, type Value } from './frame.ts';
import { linesOf } from './lines.ts';

/** SQL with its positional parameters. */
export type Statement = readonly [sql: string, params: readonly Value[]];

/** How a subscription begins: with all rows, or after the last change that was received. */
export type SubscriptionStart = { statement: Statement } | { id: string; from: number };

/** This host's Corrosion agent (docs/contract.md §5). Every call rejects with a CorrosionError. */
export interface Corrosion {
  /** Executes the statements in one transaction. */
  execute(statements: readonly Statement[], signal: AbortSignal): Promise<void>;
  /** Runs a query and calls `onRow` with each row as it arrives, so that the answer is never in memory as a whole. */
  query(statement: Statement, onRow: (values: unknown[]) => void, signal: AbortSignal): Promise<void>;
  /**
   * Reads a subscription until the agent ends it. The agent ends it when it stops, or when this reader is too slow.
   *
   * @param on.open called with the id for resuming the subscription, undefined where the agent sent none
   * @param on.frame called with each frame
   */
  subscribe(
    start: SubscriptionStart,
    on: { open(id: string | undefined): void; frame(frame: Frame): void },
    signal: AbortSignal,
  ): Promise<void>;
}

/** The version that an agent gave a transaction. Versions of one database grow. A database that was created again has another actor id. */
export interface DatabaseVersion {
  /** The id of the database, unique among all agents. */
  actorId: string;
  version: number;
}

export interface CorrosionOptions {
  /** The origin of the API, for example `http://127.0.0.1:8080`. */
  url: string;
  /** The file of the bearer token, read at every call. undefined: no token is sent. */
  tokenFile: string | undefined;
  /**
   * The timeout, in ms, of a connection, of a whole transaction, of the first byte of an answer, and between two rows of a
   * query. All rows of a query together may take `queryTimes` as long.
   */
  timeoutMs?: number;
  /**
   * Called and awaited before each transaction. The function that it returns is called with the version of the transaction,
   * unless the transaction changed nothing.
   */
  beforeTransaction?: () => Promise<(version: DatabaseVersion) => void>;
}

/** The default timeout, in ms. The agent is on this host, so a longer wait means that it hangs. Its orderly stop takes 5.1 s, so the timeout cannot be much shorter. */
const defaultTimeoutMs = 10_000;
/** How many timeouts all rows of a query may take. 50,000 rows arrive in a fraction of one. */
const queryTimes = 6;
/** The longest answer to a transaction, and the longest error, in bytes. */
const maxTextBytes = 4 << 20;

export function createCorrosion({
  url,
  tokenFile,
  timeoutMs = defaultTimeoutMs,
  beforeTransaction,
}: CorrosionOptions): Corrosion {
  const hasToken = tokenFile !== undefined;
  const agent = new Agent({ connect: { timeout: timeoutMs }, headersTimeout: timeoutMs });

  /** Sends a request. Returns the answer, which has status 200. */
  const send = async (
    method: 'GET' | 'POST',
    path: string,
    json: unknown,
    { bodyTimeout, signal }: { bodyTimeout: number; signal: AbortSignal },
  ) => {
    const headers: Record<string, string> = {};
    if (tokenFile !== undefined) headers['authorization'] = `Bearer ${await readSecretFile(tokenFile)}`;
    if (json !== undefined) headers['content-type'] = 'application/json';
    const { origin, pathname, search } = new URL(path, url);
    const answer = await agent.request({
      origin,
      path: pathname + search,
      method,
      headers,
      signal,
      bodyTimeout,
      body: json === undefined ? null : JSON.stringify(json),
    });
    if (answer.statusCode !== 200)
      throw await refusal(answer.statusCode, answer.body, { timeoutMs, hasToken });
    return answer;
  };
  const told = async <T>(call: () => Promise<T>): Promise<T> => {
    try {
      return await call();
    } catch (error) {
      throw asCorrosionError(error, url);
    }
  };

  return {
    execute: (statements, signal) =>
      told(async () => {
        const within = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
        const options = { bodyTimeout: timeoutMs, signal: within };
        const acknowledged = await beforeTransaction?.();
        const { body } = await send('POST', '/v1/transactions', statements, options);
        const text = await readText(body);
        const failure = failureIn(text);
        if (failure !== undefined) throw new CorrosionError('refused', `failed a transaction: ${failure}`);
        if (resultsOf(parseJson(text))?.length !== statements.length)
          throw new CorrosionError('malformed', `answered a transaction with ${text.slice(0, 200)}`);
        const version = versionIn(text);
        if (version !== undefined) acknowledged?.(version);
      }),
    query: (statement, onRow, signal) =>
      told(async () => {
        const within = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs * queryTimes)]);
        const { body } = await send('POST', '/v1/queries', statement, {
          bodyTimeout: timeoutMs,
          signal: within,
        });
        await readRows(body, onRow);
      }),
    subscribe: (start, on, signal) =>
      told(async () => {
        // The watchdog of the rows aborts it, too. A timeout of the body could not tell rows, which must come, from changes.
        const stop = new AbortController();
        const within = AbortSignal.any([signal, stop.signal]);
        const isResumed = 'id' in start;
        const path = isResumed
          ? `/v1/subscriptions/${encodeURIComponent(start.id)}?from=${start.from}`
          : '/v1/subscriptions';
        const { body, headers } = await send(
          isResumed ? 'GET' : 'POST',
          path,
          isResumed ? undefined : start.statement,
          { bodyTimeout: 0, signal: within },
        );
        const id = headers['corro-query-id'];
        on.open(typeof id === 'string' && id !== '' ? id : undefined);
        const rows = watchdog(timeoutMs, why => stop.abort(new Error(why)));
        if (isResumed) rows.end();
        await readFrames(body, rows, on.frame);
      }),
  };
}

/** Reads the answer to a query. @throws CorrosionError when it is not whole */
async function readRows(body: AsyncIterable<Buffer>, onRow: (values: unknown[]) => void): Promise<void> {
  let isWhole = false;
  for await (const line of linesOf(body)) {
    const frame = parseFrame(line);
    if (frame?.kind === 'row') onRow(frame.values);
    if (frame?.kind === 'error') throw new CorrosionError('refused', `failed a query: ${frame.message}`);
    if (frame?.kind === 'end') isWhole = true;
  }
  if (!isWhole) throw new CorrosionError('unreachable', 'ended its answer before the rows did');
}

/** Reads the frames of a subscription until it ends. @param rows watches the rows, and is ended in any case */
async function readFrames(
  body: AsyncIterable<Buffer>,
  rows: ReturnType<typeof watchdog>,
  onFrame: (frame: Frame) => void,
): Promise<void> {
  try {
    for await (const line of linesOf(body)) {
      const frame = parseFrame(line);
      if (frame === undefined) continue;
      if (frame.kind === 'end') rows.end();
      else rows.seen();
      onFrame(frame);
    }
  } finally {
    rows.end();
  }
}

/** Calls `onLate` when no row arrives for `ms`, or the rows do not end within `queryTimes` as long. `end` stops the watchdog. */
function watchdog(ms: number, onLate: (why: string) => void) {
  const timer = setTimeout(() => onLate('the rows stopped coming'), ms);
  const whole = setTimeout(() => onLate('the rows did not end'), ms * queryTimes);
  let isEnded = false;
  return {
    seen() {
      if (!isEnded) timer.refresh();
    },
    end() {
      isEnded = true;
      clearTimeout(timer);
      clearTimeout(whole);
    },
  };
}

/** Returns the error for a status other than 200. Reading its text is bounded in size and time, since the text only explains. */
async function refusal(
  status: number,
  body: Readable,
  { timeoutMs, hasToken }: { timeoutMs: number; hasToken: boolean },
): Promise<CorrosionError> {
  const late = new AbortController();
  const text = await Promise.race([
    readText(body).catch(() => ''),
    delay(timeoutMs, '', { signal: late.signal, ref: false }).catch(() => ''),
  ]);
  late.abort();
  body.destroy();
  const said = failureIn(text) ?? text.slice(0, 200);
  return new CorrosionError('refused', refusalText(said, { status, hasToken }));
}

async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxTextBytes)
      throw new CorrosionError('malformed', `answered more than ${maxTextBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Returns the error in an answer: `{"error"}`, or that of the statement that failed. undefined where there is none. */
function failureIn(text: string): string | undefined {
  const answer = parseJson(text);
  const failed = [answer, ...(resultsOf(answer) ?? [])].filter(isObject).find(one => 'error' in one);
  return failed === undefined ? undefined : String(failed['error']).slice(0, 1024);
}

/** Returns the version of a transaction, undefined where nothing was changed or the agent did not send it. */
function versionIn(text: string): DatabaseVersion | undefined {
  const answer = parseJson(text);
  const { version, actor_id: actorId } = isObject(answer) ? answer : {};
  return typeof version === 'number' && Number.isSafeInteger(version) && typeof actorId === 'string'
    ? { actorId, version }
    : undefined;
}

/** Returns the results of a transaction, one a statement. undefined: the answer has none. */
function resultsOf(answer: unknown): unknown[] | undefined {
  const results = isObject(answer) ? answer['results'] : undefined;
  return Array.isArray(results) ? results : undefined;
}
