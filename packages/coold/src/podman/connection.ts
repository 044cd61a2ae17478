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

export function connectPodman(
  socketPath: string,
  { timeoutMs = defaultTimeoutMs, onCall }: { timeoutMs?: number; onCall?: (call: PodmanCall) => void } = {},
): PodmanConnection {
  // Only the signal ends a request: undici's own timeouts are shorter than a pull may take.
  const agent = new Agent({
    connect: { socketPath, timeout: connectTimeoutMs },
    headersTimeout: 0,
    bodyTimeout: 0,
  });

  async function send<T>(
    root: string,
    call: Call,
    signal: AbortSignal,
    read: (body: AsyncIterable<Buffer>) => Promise<T>,
  ): Promise<T> {
    const { method = 'GET', path, query = {}, json, headers = {}, success = [200] } = call;
    const within = AbortSignal.any([signal, AbortSignal.timeout(call.timeoutMs ?? timeoutMs)]);
    const startedAt = performance.now();
    const note = (outcome: CallOutcome) =>
      onCall?.({ path, outcome, durationMs: performance.now() - startedAt });
    try {
      const { statusCode, body } = await agent.request({
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
      const failure = podmanFailure(error, socketPath);
      // A call aborted by its caller says nothing about Podman.
      if (!signal.aborted) note(failure.code < 500 ? 'refused' : 'failed');
      throw failure;
    }
  }

  const json = (root: string) => (call: Call, signal: AbortSignal) =>
    send(root, call, signal, async body => {
      const text = await readText(body);
      if (text === '') return undefined;
      const answer = parseJson(text);
      if (answer === undefined) throw new VerbError('podman_failed', "podman's answer is not JSON");
      return answer;
    });

  return {
    libpod: json(libpodRoot),
    compatible: json('/v1.41'),
    async libpodHead({ path, query = {} }, signal) {
      const within = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      try {
        const { statusCode, headers, body } = await agent.request({
          ...targetOf(libpodRoot, path, query),
          method: 'HEAD',
          signal: within,
        });
        await body.dump();
        if (statusCode !== 200 && statusCode !== 404) throw new PodmanStatusError(statusCode, '');
        return { found: statusCode === 200, headers };
      } catch (error) {
        throw podmanFailure(error, socketPath);
      }
    },
    libpodBytes: (call, onBytes, signal) =>
      send(libpodRoot, call, signal, async body => {
        for await (const chunk of body) if (!onBytes(chunk)) break; // leaving the loop destroys the body
      }),
    async libpodStream(call, read, signal) {
      const { path, query = {} } = call;
      try {
        const target = targetOf(libpodRoot, path, query);
        const { statusCode, body } = await agent.request({ ...target, method: 'GET', signal });
        if (statusCode !== 200) throw new PodmanStatusError(statusCode, await readText(body));
        await read(body);
      } catch (error) {
        throw podmanFailure(error, socketPath);
      }
    },
    async libpodPipe(call) {
      const { path } = targetOf(libpodRoot, call.path, {});
      try {
        return await upgrade(socketPath, path, call.json, {
          signal: AbortSignal.timeout(call.timeoutMs ?? timeoutMs),
          maxBytes: maxAnswerBytes,
        });
      } catch (error) {
        throw podmanFailure(error, socketPath);
      }
    },
    libpodLines: (call, onLine, signal) =>
      send(libpodRoot, call, signal, async body => {
        const decoder = new TextDecoder();
        let rest = '';
        for await (const chunk of body) {
          const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
          rest = lines.pop() ?? '';
          if (rest.length > maxLineLength) throw new Error(`a line of more than ${maxLineLength} characters`);
          for (const line of lines) if (line !== '') onLine(line);
        }
        if (rest !== '') onLine(rest);
      }),
  };
}

function targetOf(root: string, path: string, query: NonNullable<Call['query']>) {
  const url = new URL(`http://podman${root}${path}`);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
  return { origin: url.origin, path: url.pathname + url.search };
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
