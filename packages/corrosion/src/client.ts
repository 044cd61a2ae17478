import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { readSecretFile } from '@coold/runtime';
import { Agent } from 'undici';
import { asCorrosionError, CorrosionError } from './failure.ts';
import { type Frame, parseFrame, type Value } from './frame.ts';
import { linesOf } from './lines.ts';

/** SQL with its positional parameters. */
export type Statement = readonly [sql: string, params: readonly Value[]];

/** Where a subscription begins: anew, or after the last change that was seen of it. */
export type SubscriptionStart = { statement: Statement } | { id: string; from: number };

/** This host's Corrosion agent (docs/contract.md §5). Every call rejects with a CorrosionError. */
export interface Corrosion {
  /** Runs the statements in one transaction: all of them or none. */
  execute(statements: readonly Statement[], signal: AbortSignal): Promise<void>;
  /** Hands over row by row, so that no answer is ever in memory as a whole. */
  query(statement: Statement, onRow: (values: unknown[]) => void, signal: AbortSignal): Promise<void>;
  /**
   * Reads a subscription until the agent ends it, which it does when it stops or this reader is too slow.
   *
   * @param on.open what to take it up again by; undefined where the agent did not say
   */
  subscribe(
    start: SubscriptionStart,
    on: { open(id: string | undefined): void; frame(frame: Frame): void },
    signal: AbortSignal,
  ): Promise<void>;
}

export interface CorrosionOptions {
  /** Origin, for example `http://127.0.0.1:8080`. */
  url: string;
  /** Bearer token, read at every call; undefined: none is sent. */
  tokenFile: string | undefined;
  /** For a whole transaction, for the begin of any answer, and between any two of a query's rows; all the rows together may
   * take `queryTimes` as long; ms. */
  timeoutMs?: number;
}

/** The agent is on this host: what takes longer is stuck. */
const defaultTimeoutMs = 10_000;
const connectTimeoutMs = 2000;
/** A mesh of 50,000 rows comes in a fraction of one. */
const queryTimes = 6;
/** Answers to transactions, and errors, are short. */
const maxTextBytes = 4 << 20;

export function createCorrosion({
  url,
  tokenFile,
  timeoutMs = defaultTimeoutMs,
}: CorrosionOptions): Corrosion {
  const agent = new Agent({ connect: { timeout: connectTimeoutMs }, headersTimeout: timeoutMs });

  /** @returns the answer, which has status 200. */
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
      ...{ origin, path: pathname + search, method, headers, signal, bodyTimeout },
      body: json === undefined ? null : JSON.stringify(json),
    });
    if (answer.statusCode !== 200) throw await refusal(answer.statusCode, answer.body, timeoutMs);
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
        const { body } = await send('POST', '/v1/transactions', statements, options);
        const text = await readText(body);
        const failure = failureIn(text);
        if (failure !== undefined) throw new CorrosionError('refused', `failed a transaction: ${failure}`);
        if (resultCount(text) !== statements.length)
          throw new CorrosionError('malformed', `answered a transaction with ${text.slice(0, 200)}`);
      }),
    query: (statement, onRow, signal) =>
      told(async () => {
        const within = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs * queryTimes)]);
        const { body } = await send('POST', '/v1/queries', statement, {
          bodyTimeout: timeoutMs,
          signal: within,
        });
        let isWhole = false;
        for await (const line of linesOf(body)) {
          const frame = parseFrame(line);
          if (frame?.kind === 'row') onRow(frame.values);
          if (frame?.kind === 'error')
            throw new CorrosionError('refused', `failed a query: ${frame.message}`);
          if (frame?.kind === 'end') isWhole = true;
        }
        if (!isWhole) throw new CorrosionError('unreachable', 'ended its answer before the rows did');
      }),
    subscribe: (start, on, signal) =>
      told(async () => {
        // Aborted by the wait for the rows too, which a timeout of the body's could not tell from that for changes.
        const stop = new AbortController();
        const within = AbortSignal.any([signal, stop.signal]);
        const [method, path, json] =
          'id' in start
            ? ([
                'GET',
                `/v1/subscriptions/${encodeURIComponent(start.id)}?from=${start.from}`,
                undefined,
              ] as const)
            : (['POST', '/v1/subscriptions', start.statement] as const);
        const { body, headers } = await send(method, path, json, { bodyTimeout: 0, signal: within });
        const id = headers['corro-query-id'];
        on.open(typeof id === 'string' && id !== '' ? id : undefined);
        const rows = watchdog(timeoutMs, why => stop.abort(new Error(why)));
        if ('id' in start) rows.end();
        try {
          for await (const line of linesOf(body)) {
            const frame = parseFrame(line);
            if (frame === undefined) continue;
            if (frame.kind === 'end') rows.end();
            else rows.seen();
            on.frame(frame);
          }
        } finally {
          rows.end();
        }
      }),
  };
}

/** Calls back when nothing was seen for so long, or not the end for `queryTimes` as long, until it is ended. */
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

/** What a status other than 200 says; its text is bounded in size and time, since it only explains. */
async function refusal(status: number, body: Readable, timeoutMs: number): Promise<CorrosionError> {
  const late = new AbortController();
  const text = await Promise.race([
    readText(body).catch(() => ''),
    delay(timeoutMs, '', { signal: late.signal, ref: false }).catch(() => ''),
  ]);
  late.abort();
  body.destroy();
  return new CorrosionError('refused', `answered ${status}: ${failureIn(text) ?? text.slice(0, 200)}`);
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

/** The error in an answer: `{"error"}`, or that of the statement that failed. Undefined where there is none. */
function failureIn(text: string): string | undefined {
  const answer = parsed(text);
  const results = resultsOf(answer);
  const failed = [answer, ...results].find(
    (one): one is { error: unknown } => typeof one === 'object' && one !== null && 'error' in one,
  );
  return failed === undefined ? undefined : String(failed.error).slice(0, 1024);
}

function resultCount(text: string): number | undefined {
  const answer = parsed(text);
  return typeof answer === 'object' && answer !== null && 'results' in answer
    ? resultsOf(answer).length
    : undefined;
}

function resultsOf(answer: unknown): unknown[] {
  if (typeof answer !== 'object' || answer === null || !('results' in answer)) return [];
  return Array.isArray(answer.results) ? answer.results : [];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
