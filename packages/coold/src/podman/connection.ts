import type { Socket } from 'node:net';
import { VerbError } from '@coold/errors';
import { parseJson } from '@coold/runtime';
import { Agent } from 'undici';
import { PodmanStatusError, podmanFailure } from './failure.ts';
import type { CallOutcome, PodmanCall } from './podman-calls.ts';
import { upgrade } from './upgrade.ts';

export interface Call {
  method?: 'GET' | 'POST' | 'DELETE';
  /** The path below the API's root, with its leading slash and encoded segments (see `segment`). */
  path: string;
  query?: Record<string, string | number | boolean>;
  json?: unknown;
  headers?: Record<string, string>;
  /** The statuses of success. Default: 200. */
  success?: readonly number[];
  /** The timeout of the whole call, body included, in ms. Default: that of the connection. */
  timeoutMs?: number;
}

/** Requests to one Podman. Each ends with its signal or timeout, and rejects with a VerbError (see podmanFailure). */
export interface PodmanConnection {
  /** Calls libpod's API 4.0. @returns the answer's JSON, undefined when it has no body */
  libpod(call: Call, signal: AbortSignal): Promise<unknown>;
  /** Calls Podman's Docker-compatible API. */
  compatible(call: Call, signal: AbortSignal): Promise<unknown>;
  /**
   * Requests only headers from libpod.
   *
   * @returns them with the status, also for a 404
   * @throws VerbError for other statuses
   */
  libpodHead(
    call: Pick<Call, 'path' | 'query'>,
    signal: AbortSignal,
  ): Promise<{ found: boolean; headers: Record<string, string | string[] | undefined> }>;
  /** Calls libpod for an answer of bytes. `onBytes` returns false to end the request. */
  libpodBytes(call: Call, onBytes: (bytes: Buffer) => boolean, signal: AbortSignal): Promise<void>;
  /**
   * Calls libpod for an endless answer, which only its signal ends. `read` takes the body at its own pace, and Podman
   * waits for it.
   */
  libpodStream(
    call: Call,
    read: (body: AsyncIterable<Buffer>) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
  /** Sends a POST that turns its connection into a pipe; see `upgrade`. The timeout applies until then. */
  libpodPipe(call: Call): Promise<Socket>;
  /** Calls libpod for an endless answer of lines. */
  libpodLines(call: Call, onLine: (line: string) => void, signal: AbortSignal): Promise<void>;
}

/** The default timeout, in ms. It is shorter than the broker's, so that the broker can tell a hanging Podman from a hanging host. */
const defaultTimeoutMs = 8000;
const connectTimeoutMs = 2000;
/** The longest answer, in bytes: more than the list of containers of any host takes. */
const maxAnswerBytes = 32 * 1024 * 1024;
/** The longest line of a stream. Podman writes no longer ones. */
const maxLineLength = 64 * 1024;
const libpodRoot = '/v4.0.0/libpod';
const compatibleRoot = '/v1.41';

export interface ConnectionOptions {
  /** The timeout of calls that do not set their own, in ms. */
  timeoutMs?: number;
  /** Called with every finished call, except streams and pipes. */
  onCall?: ((call: PodmanCall) => void) | undefined;
}

export function connectPodman(socketPath: string, options: ConnectionOptions = {}): PodmanConnection {
  return new SocketConnection(socketPath, options);
}

class SocketConnection implements PodmanConnection {
  readonly #socketPath: string;
  readonly #timeoutMs: number;
  readonly #onCall: ConnectionOptions['onCall'];
  readonly #agent: Agent;

  constructor(socketPath: string, { timeoutMs = defaultTimeoutMs, onCall }: ConnectionOptions) {
    this.#socketPath = socketPath;
    this.#timeoutMs = timeoutMs;
    this.#onCall = onCall;
    // Only the signal ends a request: undici's own timeouts are shorter than a pull may take.
    const connect = { socketPath, timeout: connectTimeoutMs };
    this.#agent = new Agent({ connect, headersTimeout: 0, bodyTimeout: 0 });
  }

  libpod(call: Call, signal: AbortSignal): Promise<unknown> {
    return this.#send(libpodRoot, call, signal, readJson);
  }

  compatible(call: Call, signal: AbortSignal): Promise<unknown> {
    return this.#send(compatibleRoot, call, signal, readJson);
  }

  async libpodHead({ path, query = {} }: Pick<Call, 'path' | 'query'>, signal: AbortSignal) {
    const within = AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs)]);
    try {
      const target = targetOf(libpodRoot, path, query);
      const answer = await this.#agent.request({ ...target, method: 'HEAD', signal: within });
      const { statusCode, headers, body } = answer;
      await body.dump();
      if (statusCode !== 200 && statusCode !== 404) throw new PodmanStatusError(statusCode, '');
      return { found: statusCode === 200, headers };
    } catch (error) {
      throw podmanFailure(error, this.#socketPath);
    }
  }

  libpodBytes(call: Call, onBytes: (bytes: Buffer) => boolean, signal: AbortSignal): Promise<void> {
    return this.#send(libpodRoot, call, signal, async body => {
      for await (const chunk of body) if (!onBytes(chunk)) break; // leaving the loop destroys the body
    });
  }

  async libpodStream(
    { path, query = {} }: Call,
    read: (body: AsyncIterable<Buffer>) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      const target = targetOf(libpodRoot, path, query);
      const { statusCode, body } = await this.#agent.request({ ...target, method: 'GET', signal });
      if (statusCode !== 200) throw new PodmanStatusError(statusCode, await readText(body));
      await read(body);
    } catch (error) {
      throw podmanFailure(error, this.#socketPath);
    }
  }

  async libpodPipe(call: Call): Promise<Socket> {
    const { path } = targetOf(libpodRoot, call.path, {});
    try {
      return await upgrade(this.#socketPath, path, call.json, {
        signal: AbortSignal.timeout(call.timeoutMs ?? this.#timeoutMs),
        maxBytes: maxAnswerBytes,
      });
    } catch (error) {
      throw podmanFailure(error, this.#socketPath);
    }
  }

  libpodLines(call: Call, onLine: (line: string) => void, signal: AbortSignal): Promise<void> {
    return this.#send(libpodRoot, call, signal, body => readLines(body, onLine));
  }

  async #send<T>(
    root: string,
    call: Call,
    signal: AbortSignal,
    read: (body: AsyncIterable<Buffer>) => Promise<T>,
  ): Promise<T> {
    const { method = 'GET', path, query = {}, json, headers = {}, success = [200] } = call;
    const within = AbortSignal.any([signal, AbortSignal.timeout(call.timeoutMs ?? this.#timeoutMs)]);
    const startedAt = performance.now();
    const note = (outcome: CallOutcome) =>
      this.#onCall?.({ path, outcome, durationMs: performance.now() - startedAt });
    try {
      const { statusCode, body } = await this.#agent.request({
        ...targetOf(root, path, query),
        method,
        signal: within,
        headers: json === undefined ? headers : { 'content-type': 'application/json', ...headers },
        body: json === undefined ? null : JSON.stringify(json),
      });
      if (!success.includes(statusCode)) throw new PodmanStatusError(statusCode, await readText(body));
      const answer = await read(body);
      note('ok');
      return answer;
    } catch (error) {
      const failure = podmanFailure(error, this.#socketPath);
      // A call aborted by its caller says nothing about Podman.
      if (!signal.aborted) note(failure.code < 500 ? 'refused' : 'failed');
      throw failure;
    }
  }
}

function targetOf(root: string, path: string, query: NonNullable<Call['query']>) {
  const url = new URL(`http://podman${root}${path}`);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
  return { origin: url.origin, path: url.pathname + url.search };
}

/** @returns undefined when there is no body @throws VerbError 502 when it is not JSON or too long */
async function readJson(body: AsyncIterable<Buffer>): Promise<unknown> {
  const text = await readText(body);
  if (text === '') return undefined;
  const answer = parseJson(text);
  if (answer === undefined) throw new VerbError('podman_failed', "podman's answer is not JSON");
  return answer;
}

/** Calls `onLine` with each line that is not empty. @throws Error when a line is too long */
async function readLines(body: AsyncIterable<Buffer>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > maxLineLength) throw new Error(`a line of more than ${maxLineLength} characters`);
    for (const line of lines) if (line !== '') onLine(line);
  }
  if (rest !== '') onLine(rest);
}

/** @throws VerbError 502 when the answer is too long */
async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxAnswerBytes)
      throw new VerbError('podman_failed', `podman's answer is over the limit of ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** A name as one segment of a path. */
export function segment(name: string): string {
  return encodeURIComponent(name);
}
