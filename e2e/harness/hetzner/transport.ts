import { setTimeout as delay } from 'node:timers/promises';
import { createBackoff } from '@coold/runtime';
import { Agent, request } from 'undici';
import { HarnessError } from '../provider.ts';
import { readError } from './answers.ts';

/** Time limits of the client, in ms; tests make them short. */
export interface Pace {
  /** For one request and its answer. */
  requestMs: number;
  /** For one request with all its retries. */
  patienceMs: number;
  backoff: { firstMs: number; maxMs: number };
}

export const defaultPace: Pace = {
  requestMs: 30_000,
  patienceMs: 300_000,
  backoff: { firstMs: 1000, maxMs: 20_000 },
};

export type Method = 'GET' | 'POST' | 'DELETE';

/** Sends requests to the API, with authorisation and retries; it knows nothing of their content. */
export interface Transport {
  /**
   * Returns the answer's JSON, undefined when it is empty.
   *
   * @throws ApiError when the API refuses the request
   * @throws HarnessError when it does not answer in time
   */
  send(
    method: Method,
    path: string,
    options?: { query?: Record<string, string>; body?: unknown },
  ): Promise<unknown>;
  close(): Promise<void>;
}

/** The API refused a request; `code` is its name for the reason, empty when it gave none. */
export class ApiError extends HarnessError {
  readonly status: number;
  readonly code: string;
  constructor(message: string, status: number, code: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
  }
}

export interface TransportOptions {
  baseUrl: string;
  /** Sent only in the Authorization header. */
  token: string;
  pace: Pace;
  /** Ends waits and refuses later requests. */
  signal?: AbortSignal;
}

type Outcome =
  | { kind: 'answer'; body: unknown }
  | { kind: 'refused'; error: ApiError }
  /** Can be retried after at least this many ms. */
  | { kind: 'later'; error: HarnessError; waitMs: number };

export function createTransport({ baseUrl, token, pace, signal }: TransportOptions): Transport {
  const agent = new Agent();
  const isOver = () => signal?.aborted === true;

  const attempt = async (method: Method, url: string, body: unknown): Promise<Outcome> => {
    const what = `${method} ${url}`;
    if (isOver()) throw runIsOver(what);
    const limit = AbortSignal.timeout(pace.requestMs);
    try {
      const response = await request(url, {
        method,
        dispatcher: agent,
        // A request that changes something is not aborted, because its result would be unknown.
        signal: signal === undefined || method !== 'GET' ? limit : AbortSignal.any([limit, signal]),
        headers: {
          authorization: `Bearer ${token}`,
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const answer = parseJson(await response.body.text());
      if (response.statusCode >= 200 && response.statusCode < 300) {
        if (answer.ok) return { kind: 'answer', body: answer.value };
        return { kind: 'later', error: new HarnessError(`${what}: the answer is not JSON`), waitMs: 0 };
      }
      const { code, message } = readError(answer.ok ? answer.value : undefined);
      const said = message === '' ? 'no reason given' : message;
      const error = new ApiError(
        `${what}: ${response.statusCode}${code === '' ? '' : ` ${code}`}: ${said}`,
        response.statusCode,
        code,
      );
      if (!isPassing(response.statusCode, code)) return { kind: 'refused', error };
      const waitMs = response.statusCode === 429 ? untilNextRequest(response.headers, Date.now()) : 0;
      return { kind: 'later', error, waitMs };
    } catch (error) {
      if (isOver()) throw runIsOver(what);
      const why = limit.aborted ? `no answer within ${pace.requestMs} ms` : (error as Error).message;
      return { kind: 'later', error: new HarnessError(`${what}: ${why}`, { cause: error }), waitMs: 0 };
    }
  };

  return {
    async send(method, path, { query = {}, body } = {}) {
      const search = new URLSearchParams(query).toString();
      const url = `${baseUrl}${path}${search === '' ? '' : `?${search}`}`;
      const backoff = createBackoff(pace.backoff);
      const deadline = performance.now() + pace.patienceMs;
      for (let tries = 1; ; tries += 1) {
        const outcome = await attempt(method, url, body);
        if (outcome.kind === 'answer') return outcome.body;
        if (outcome.kind === 'refused') throw outcome.error;
        // Jitter is added to the requested delay, so that clients with the same delay do not return together.
        const waitMs = outcome.waitMs + backoff.next();
        if (performance.now() + waitMs >= deadline) throw givenUp(outcome.error, tries);
        await delay(waitMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
      }
    },
    close: () => agent.destroy(),
  };
}

/** Whether a retry may succeed: rate limits, resources locked by another action, and the API's own failures pass. */
function isPassing(status: number, code: string): boolean {
  if (status === 429 || status === 423 || status >= 500) return code !== 'resource_locked';
  return status === 409 && code === 'conflict';
}

/**
 * Returns after how many ms a refused request may be retried. `RateLimit-Reset` is the Unix time at which the whole
 * budget is restored. The budget refills gradually, so one request is possible after one share of that time.
 */
export function untilNextRequest(
  headers: Record<string, string | string[] | undefined>,
  now: number,
): number {
  const retryAfter = number(headers['retry-after']);
  if (retryAfter !== undefined) return retryAfter * 1000;
  const limit = number(headers['ratelimit-limit']);
  const reset = number(headers['ratelimit-reset']);
  if (reset === undefined) return 0;
  // Uses the API's clock if the answer has a date, since ours may be wrong.
  const sent = Date.parse(String(headers['date'] ?? ''));
  const untilReset = Math.max(0, reset * 1000 - (Number.isNaN(sent) ? now : sent));
  return limit === undefined || limit < 1 ? untilReset : Math.ceil(untilReset / limit);
}

function number(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^\d{1,12}$/.test(header) ? Number(header) : undefined;
}

function parseJson(text: string): { ok: true; value: unknown } | { ok: false } {
  try {
    return { ok: true, value: text === '' ? undefined : JSON.parse(text) };
  } catch {
    return { ok: false };
  }
}

const runIsOver = (what: string) => new HarnessError(`${what}: given up, the run is over`);

function givenUp(error: HarnessError, tries: number): HarnessError {
  const message = `${error.message} (given up after ${tries} tries)`;
  return error instanceof ApiError
    ? new ApiError(message, error.status, error.code)
    : new HarnessError(message, { cause: error });
}
