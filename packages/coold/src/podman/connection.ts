import type { Socket } from 'node:net';
import { Agent } from 'undici';
import { VerbError } from '../api/verb-error.ts';
import { PodmanStatusError, podmanFailure } from './failure.ts';
import { upgrade } from './upgrade.ts';

export interface Call {
  method?: 'GET' | 'POST' | 'DELETE';
  /** Below the API's root, with its leading slash; segments already encoded (see `segment`). */
  path: string;
  query?: Record<string, string | number | boolean>;
  json?: unknown;
  headers?: Record<string, string>;
  /** Statuses that are a success; 200 when absent. */
  success?: readonly number[];
  /** For the whole of it, body included; the connection's own when absent. */
  timeoutMs?: number;
}

/** Requests to one Podman. Each ends with its signal or its timeout, and rejects with a VerbError (see podmanFailure). */
export interface PodmanConnection {
  /** libpod's API, 4.0. @returns the JSON of the answer; undefined where it has no body */
  libpod(call: Call, signal: AbortSignal): Promise<unknown>;
  /** Docker's API as Podman speaks it. */
  compatible(call: Call, signal: AbortSignal): Promise<unknown>;
  /** Asks libpod for the headers alone. @returns them with the status, a 404 too. @throws VerbError for other statuses */
  libpodHead(
    call: Pick<Call, 'path' | 'query'>,
    signal: AbortSignal,
  ): Promise<{ found: boolean; headers: Record<string, string | string[] | undefined> }>;
  /** libpod again, for an answer that is bytes; `onBytes` returns false when it has enough, which ends the request. */
  libpodBytes(call: Call, onBytes: (bytes: Buffer) => boolean, signal: AbortSignal): Promise<void>;
  /**
   * And for one that begins and goes on as long as it likes: only its signal ends it. `read` takes the body at its own
   * pace, and Podman waits for it.
   */
  libpodStream(
    call: Call,
    read: (body: AsyncIterable<Buffer>) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
  /** And for a POST that makes a pipe of its connection, see `upgrade`; the timeout is for that. */
  libpodPipe(call: Call): Promise<Socket>;
  /** And for one that comes in lines. */
  libpodLines(call: Call, onLine: (line: string) => void, signal: AbortSignal): Promise<void>;
}

/** Less than the broker waits, so that a Podman that hangs is told apart from a host that does. */
const defaultTimeoutMs = 8000;
const connectTimeoutMs = 2000;
/** More than any host's containers take; what is longer is not read on. */
const maxAnswerBytes = 32 * 1024 * 1024;
/** A line longer than this is none that Podman writes. */
const maxLineLength = 64 * 1024;
const libpodRoot = '/v4.0.0/libpod';

export function connectPodman(socketPath: string, { timeoutMs = defaultTimeoutMs } = {}): PodmanConnection {
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
    try {
      const { statusCode, body } = await agent.request({
        ...targetOf(root, path, query),
        method,
        signal: within,
        headers: json === undefined ? headers : { 'content-type': 'application/json', ...headers },
        body: json === undefined ? null : JSON.stringify(json),
      });
      if (!success.includes(statusCode)) throw new PodmanStatusError(statusCode, await readText(body));
      return await read(body);
    } catch (error) {
      throw podmanFailure(error, socketPath);
    }
  }

  const json = (root: string) => (call: Call, signal: AbortSignal) =>
    send(root, call, signal, async body => {
      const text = await readText(body);
      return text === '' ? undefined : parseJson(text);
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

/** @throws VerbError 502 when there is more than coold reads */
async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxAnswerBytes)
      throw new VerbError(502, `podman's answer is over the limit of ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new VerbError(502, "podman's answer is not JSON", { cause: error });
  }
}

/** A name as one segment of a path. */
export function segment(name: string): string {
  return encodeURIComponent(name);
}
