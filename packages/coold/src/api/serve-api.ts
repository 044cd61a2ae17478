import { setTimeout as delay } from 'node:timers/promises';
import {
  type Address,
  type Backoff,
  createBackoff,
  followFiles,
  type Hangups,
  type Logger,
  type PlacedSocket,
  placeSocket,
  readTlsPair,
  SocketError,
  type Task,
} from '@coold/runtime';
import { createBearer, readApiToken } from './bearer.ts';
import { createHttpServer, type HttpLimits } from './http-server.ts';
import { createRest, type RestOptions } from './rest.ts';

/** What requests under way get to finish in once coold stops, in ms. */
const finishMs = 2000;

type Common = Omit<RestOptions, 'mayCall'> & { backoff?: Backoff; limits?: HttpLimits };

export interface ApiOptions extends Common {
  bind: Address;
  tokenFile: string;
  /** Paths; undefined: plain HTTP. */
  tls: { cert: string; key: string } | undefined;
  hangups: Hangups;
  /** How often the files are looked at, in ms. */
  reloadEveryMs?: number;
}

/**
 * Serves the verbs on one address. While that address does not exist yet or its port is taken, it is tried again with
 * backoff: the mesh may come up after coold. Token and certificate follow their files.
 *
 * @throws Error from the returned task when token or certificate cannot be used at start
 */
export function keepApi(options: ApiOptions): Task {
  const { bind, tokenFile, tls, hangups, log, limits, reloadEveryMs } = options;
  return async stop => {
    const following = {
      hangups,
      log,
      signal: stop,
      ...(reloadEveryMs === undefined ? {} : { everyMs: reloadEveryMs }),
    };
    const token = await followFiles({
      ...following,
      what: 'API token',
      paths: [tokenFile],
      read: () => readApiToken(tokenFile),
      use: next => bearer.use(next),
    });
    const bearer = createBearer(token);
    const handle = await createRest({ ...options, mayCall: bearer.accepts });
    const pair =
      tls &&
      (await followFiles({
        ...following,
        what: 'API certificate',
        paths: [tls.cert, tls.key],
        read: () => readTlsPair(tls),
        use: next => server.useTls(next),
      }));
    const server = createHttpServer({ handle, tls: pair, log, ...(limits === undefined ? {} : { limits }) });
    const address = await untilListening({
      listen: () => server.listen({ host: bind.host, port: bind.port, backlog: 511 }),
      isTemporary: code => code === 'EADDRNOTAVAIL' || code === 'EADDRINUSE',
      backoff: options.backoff,
      log: log.child('listen'),
      stop,
    });
    if (address === undefined) return;
    log.info({ address, tls: tls !== undefined }, 'serving the API');
    await aborted(stop);
    await server.close(finishMs);
  };
}

export interface StatusOptions
  extends Pick<Common, 'metrics' | 'status' | 'record' | 'streams' | 'log' | 'backoff'> {
  path: string;
  /** How often the socket is looked at, in ms. */
  checkMs?: number;
}

/**
 * /healthz, /metrics and /status on a socket of the owner's alone, whose mode is its token (docs/contract.md §3). Where there is no place for it, that is a line in the log and tried again: it is no reason for
 * coold to end.
 */
export function keepStatus(options: StatusOptions): Task {
  const { path, log, checkMs = 5000 } = options;
  return async stop => {
    const handle = await createRest({ ...options, routes: [], document: undefined, mayCall: () => true });
    const server = createHttpServer({ handle, tls: undefined, log });
    const listen = () =>
      placeSocket({
        path,
        group: undefined,
        listen: async temporary => void (await server.listen({ path: temporary })),
      });
    while (!stop.aborted) {
      const socket = await untilListening({
        listen,
        isTemporary: () => true,
        backoff: options.backoff,
        log: log.child('listen'),
        stop,
      });
      if (socket === undefined) return;
      log.info({ path }, 'serving status and metrics');
      await untilGone(socket, checkMs, stop);
      if (!stop.aborted)
        log.warn({ path }, 'the socket is gone, or another took its place; placing it again');
      await socket.remove();
      await server.close(finishMs);
    }
  };
}

/** Resolves when the socket's name leads elsewhere, or on the signal. */
async function untilGone(socket: PlacedSocket, checkMs: number, stop: AbortSignal): Promise<void> {
  do await delay(checkMs, undefined, { signal: stop }).catch(() => {});
  while (!stop.aborted && (await socket.isThere()));
}

interface Listening<T> {
  listen: () => Promise<T>;
  /** Whether time may mend it, by the system's code. */
  isTemporary: (code: string | undefined) => boolean;
  backoff: Backoff | undefined;
  log: Logger;
  stop: AbortSignal;
}

/** What `listen` yields, however often it has to be tried; undefined when it is over before. */
async function untilListening<T>(options: Listening<T>): Promise<T | undefined> {
  const { listen, isTemporary, log, stop } = options;
  const backoff = options.backoff ?? createBackoff({ firstMs: 1000, maxMs: 30_000 });
  while (!stop.aborted) {
    try {
      return await listen();
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (!isTemporary(code) && !(error instanceof SocketError)) throw error;
      const waitMs = backoff.next();
      log.warn({ reason: message, retry_in_ms: waitMs }, 'cannot listen yet; trying again');
      await delay(waitMs, undefined, { signal: stop }).catch(() => {});
    }
  }
  return undefined;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
}
