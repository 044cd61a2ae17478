import {
  type Address,
  type Backoff,
  createBackoff,
  createRepeatedWarning,
  followFiles,
  type Hangups,
  type Logger,
  type PlacedSocket,
  pause,
  placeSocket,
  readTlsPair,
  SocketError,
  type Task,
  type UnreadFilesList,
  untilAborted,
} from '@coold/runtime';
import { createBearer, readApiToken } from './bearer.ts';
import { createHttpServer, type HttpLimits } from './http-server.ts';
import { createRest, type RestOptions } from './rest.ts';

/** How long requests in progress may take to finish once coold stops, in ms. */
const finishMs = 2000;

type Common = Omit<RestOptions, 'mayCall'> & { backoff?: Backoff; limits?: HttpLimits };

export interface ApiOptions extends Common {
  bind: Address;
  tokenFile: string;
  /** Paths; undefined for plain HTTP. */
  tls: { cert: string; key: string } | undefined;
  hangups: Hangups;
  /** Called with the reason while the address cannot be listened on, and with undefined once the API is served. */
  onProblem?: (why: string | undefined) => void;
  /** Receives files that could not be read again. */
  unread?: Pick<UnreadFilesList, 'note'>;
  /** Called with the certificate as PEM whenever it is read. */
  onCertificate?: (pem: string) => void;
  /** How often the files are checked, in ms. */
  reloadEveryMs?: number;
}

/**
 * Serves the verbs on one address. While the address does not exist yet or its port is in use, it tries again with
 * backoff: the mesh may come up after coold. Follows changes of the token and certificate files.
 *
 * @throws Error from the returned task when token or certificate is not usable at start
 */
export function keepApi(options: ApiOptions): Task {
  const { bind, tokenFile, tls, unread, hangups, log, limits, reloadEveryMs } = options;
  return async stop => {
    const following = {
      unread,
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
        read: async () => {
          const read = await readTlsPair(tls);
          options.onCertificate?.(read.cert);
          return read;
        },
        use: next => server.useTls(next),
      }));
    const server = createHttpServer({ handle, tls: pair, log, ...(limits === undefined ? {} : { limits }) });
    const address = await untilListening({
      listen: () => server.listen({ host: bind.host, port: bind.port, backlog: 511 }),
      isTemporary: code => code === 'EADDRNOTAVAIL' || code === 'EADDRINUSE',
      backoff: options.backoff,
      onProblem: options.onProblem,
      log: log.child('listen'),
      stop,
    });
    if (address === undefined) return;
    log.info({ address, tls: tls !== undefined }, 'serving the API');
    await untilAborted(stop);
    await server.close(finishMs);
  };
}

export interface StatusOptions
  extends Pick<Common, 'metrics' | 'status' | 'record' | 'streams' | 'log' | 'backoff' | 'routes'> {
  path: string;
  /** Called before each attempt to create the socket. Its failure does not prevent the attempt. */
  prepare?: () => Promise<void>;
  /** How often the socket is checked, in ms. */
  checkMs?: number;
}

/**
 * Serves /healthz, /metrics, /status and verbs that only read on a socket for its owner, whose mode replaces a token
 * (docs/contract.md §3). When the socket cannot be created, this is logged and tried again, and coold goes on.
 */
export function keepStatus(options: StatusOptions): Task {
  const { path, log, checkMs = 5000, prepare = async () => {} } = options;
  return async stop => {
    const handle = await createRest({ ...options, document: undefined, mayCall: () => true });
    const server = createHttpServer({ handle, tls: undefined, log });
    const listen = async () => {
      await prepare().catch(() => {}); // a folder that is missing is told then
      return await placeSocket({
        path,
        group: undefined,
        listen: async temporary => void (await server.listen({ path: temporary })),
      });
    };
    while (!stop.aborted) {
      const socket = await untilListening({
        listen,
        isTemporary: () => true,
        backoff: options.backoff,
        // This status cannot be asked over this socket either.
        onProblem: undefined,
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

/** Resolves when the socket's path leads elsewhere, or on the signal. */
async function untilGone(socket: PlacedSocket, checkMs: number, stop: AbortSignal): Promise<void> {
  do await pause(checkMs, stop);
  while (!stop.aborted && (await socket.isThere()));
}

interface Listening<T> {
  listen: () => Promise<T>;
  /** Whether waiting may help, by the system's error code. */
  isTemporary: (code: string | undefined) => boolean;
  backoff: Backoff | undefined;
  onProblem: ((why: string | undefined) => void) | undefined;
  log: Logger;
  stop: AbortSignal;
}

/** Resolves with the result of `listen`, however often it has to be tried; undefined when stopped before. */
async function untilListening<T>(options: Listening<T>): Promise<T | undefined> {
  const { listen, isTemporary, onProblem, log, stop } = options;
  const warning = createRepeatedWarning(log);
  const backoff = options.backoff ?? createBackoff({ firstMs: 1000, maxMs: 30_000 });
  while (!stop.aborted) {
    try {
      const listening = await listen();
      onProblem?.(undefined);
      return listening;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (!isTemporary(code) && !(error instanceof SocketError)) throw error;
      onProblem?.(message);
      const waitMs = backoff.next();
      warning.warn(message, { retry_in_ms: waitMs }, 'cannot listen yet; trying again');
      await pause(waitMs, stop);
    }
  }
  return undefined;
}
