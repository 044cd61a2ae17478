import { createServer, type ServerResponse } from 'node:http';
import { BlockList, isIPv4 } from 'node:net';
import type { Address } from '../config/values.ts';
import type { Logger } from '../logs/logger.ts';
import { createRepeatedWarning } from '../logs/repeated-warning.ts';
import { type Backoff, createBackoff } from '../waits/backoff.ts';
import { pause, untilAborted } from '../waits/pause.ts';
import type { Task } from './tasks.ts';

export interface KeepMetricsOptions {
  bind: Address;
  /** Returns the metrics in the text format of Prometheus. */
  render(): Promise<{ contentType: string; text: string }>;
  /** Returns why the address may not be used now, undefined when it may. */
  refusal?: () => string | undefined;
  /** Called with the reason while they cannot be served; undefined: they are served. */
  onProblem?: (why: string | undefined) => void;
  log: Logger;
  backoff?: Backoff;
}

/** The most connections. A scraper needs one. */
const maxConnections = 32;
/** How long a request's head may take, and how long a reader may take nothing, in ms. */
const idleMs = 10_000;
const closeMs = 1000;

/**
 * Returns a task that serves `GET /metrics` without a token, and nothing else (docs/contract.md §3). While the address
 * does not exist or is taken, it tries again with backoff, and warns of the reason once and then once an hour. The task
 * never rejects: a program must not end because of its metrics.
 */
export function keepMetrics(options: KeepMetricsOptions): Task {
  const { refusal, onProblem, log } = options;
  const warning = createRepeatedWarning(log);
  const backoff = options.backoff ?? createBackoff({ firstMs: 1000, maxMs: 30_000 });
  return async stop => {
    while (!stop.aborted) {
      const why = refusal?.() ?? (await serve(options, stop));
      if (why === undefined) return;
      onProblem?.(why);
      const waitMs = backoff.next();
      warning.warn(why, { retry_in_ms: waitMs }, 'metrics cannot be served yet; trying again');
      await pause(waitMs, stop);
    }
  };
}

/** Serves until `stop` aborts. Resolves earlier, with the reason, when it cannot listen. */
async function serve(
  { bind, render, onProblem, log }: KeepMetricsOptions,
  stop: AbortSignal,
): Promise<string | undefined> {
  // Concurrent readers share one collection of the metrics.
  let rendering: ReturnType<typeof render> | undefined;
  const renderOnce = () => {
    rendering ??= render().finally(() => {
      rendering = undefined;
    });
    return rendering;
  };
  const server = createServer({ headersTimeout: idleMs, requestTimeout: idleMs }, (request, response) => {
    // The body of a request is discarded.
    request.resume();
    if (request.url?.split('?')[0] !== '/metrics') return refuse(response, 404, 'only /metrics is here');
    if (request.method !== 'GET') return refuse(response, 405, 'expected GET');
    renderOnce().then(
      ({ contentType, text }) => {
        response.writeHead(200, { 'content-type': contentType, 'content-length': Buffer.byteLength(text) });
        response.end(text);
      },
      (error: unknown) => {
        log.error({ err: error }, 'metrics cannot be collected');
        refuse(response, 500, 'metrics cannot be collected');
      },
    );
  });
  server.maxConnections = maxConnections;
  server.setTimeout(idleMs);
  const listening = Promise.withResolvers<string | undefined>();
  server.once('error', error => listening.resolve(error.message));
  server.listen({ ...bind, backlog: maxConnections }, () => listening.resolve(undefined));
  const why = await listening.promise;
  if (why !== undefined) return why;
  onProblem?.(undefined);
  server.on('error', error => log.debug({ err: error }, 'listener of metrics'));
  const at = server.address();
  const port = typeof at === 'object' && at !== null ? at.port : bind.port;
  log.info(
    { address: `${bind.host.includes(':') ? `[${bind.host}]` : bind.host}:${port}` },
    'serving metrics',
  );
  await untilAborted(stop);
  const closed = new Promise<void>(resolve => server.close(() => resolve()));
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), closeMs);
  await closed;
  clearTimeout(cut);
  return undefined;
}

function refuse(response: ServerResponse, status: number, text: string): void {
  const headers = { 'content-type': 'text/plain; charset=utf-8', connection: 'close' };
  response.writeHead(status, status === 405 ? { ...headers, allow: 'GET' } : headers).end(`${text}\n`);
}

/** Whether an address is a loopback address. */
export function isLoopback(host: string): boolean {
  const loopback = new BlockList();
  loopback.addSubnet('127.0.0.0', 8, 'ipv4'); // finds ::ffff:127.0.0.1 too
  loopback.addAddress('::1', 'ipv6');
  return loopback.check(host, isIPv4(host) ? 'ipv4' : 'ipv6');
}
