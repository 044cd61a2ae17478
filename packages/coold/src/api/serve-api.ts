import { setTimeout as delay } from 'node:timers/promises';
import {
  type Address,
  type Backoff,
  createBackoff,
  type Logger,
  type PlacedSocket,
  placeSocket,
  SocketError,
  type Task,
} from '@coold/runtime';
import { createBearer, readApiToken } from './bearer.ts';
import { createHttpServer, type HttpLimits, type HttpServer } from './http-server.ts';
import { type Hangups, reloadOnChange } from './reload.ts';
import { createRest, type RestOptions } from './rest.ts';
import { readTlsPair } from './tls-pair.ts';

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
    const bearer = createBearer(await readApiToken(tokenFile));
    const pair = tls === undefined ? undefined : await readTlsPair(tls);
    const handle = await createRest({ ...options, mayCall: bearer.accepts });
    const server = createHttpServer({ handle, tls: pair, log, ...(limits === undefined ? {} : { limits }) });
    const reload = {
      hangups,
      log,
      signal: stop,
      ...(reloadEveryMs === undefined ? {} : { everyMs: reloadEveryMs }),
    };
    reloadOnChange({
      ...reload,
      what: 'API token',
      paths: [tokenFile],
      load: async () => bearer.use(await readApiToken(tokenFile)),
    });
    if (tls !== undefined)
      reloadOnChange({
        ...reload,
        what: 'API certificate',
        paths: [tls.cert, tls.key],
        load: async () => server.useTls(await readTlsPair(tls)),
      });
    await untilListening({
      listen: () => server.listen({ host: bind.host, port: bind.port, backlog: 511 }),
      isTemporary: code => code === 'EADDRNOTAVAIL' || code === 'EADDRINUSE',
      backoff: options.backoff,
      log: log.child('listen'),
      listening: address => log.info({ address, tls: tls !== undefined }, 'serving the API'),
      stop,
    });
    await aborted(stop);
    await server.close(finishMs);
  };
}

export interface StatusOptions extends Pick<Common, 'metrics' | 'record' | 'log' | 'backoff'> {
  path: string;
}

/**
 * Without an API bind: /healthz and /metrics on a socket of the owner's alone, whose mode is its token (CONTRACT §3).
 * Where there is no place for it, that is a line in the log and tried again: it is no reason for coold to end.
 */
export function keepStatus(options: StatusOptions): Task {
  const { path, log } = options;
  return async stop => {
    const handle = await createRest({ ...options, routes: [], document: undefined, mayCall: () => true });
    const server: HttpServer = createHttpServer({ handle, tls: undefined, log });
    let socket: PlacedSocket | undefined;
    await untilListening({
      async listen() {
        socket = await placeSocket({
          path,
          group: undefined,
          listen: async temporary => void (await server.listen({ path: temporary })),
        });
        return path;
      },
      isTemporary: () => true,
      backoff: options.backoff,
      log: log.child('listen'),
      listening: address => log.info({ path: address }, 'serving status and metrics'),
      stop,
    });
    await aborted(stop);
    await socket?.remove();
    await server.close(finishMs);
  };
}

interface Listening {
  listen: () => Promise<string>;
  /** Whether time may mend it, by the system's code. */
  isTemporary: (code: string | undefined) => boolean;
  backoff: Backoff | undefined;
  log: Logger;
  listening: (address: string) => void;
  stop: AbortSignal;
}

async function untilListening(options: Listening): Promise<void> {
  const { listen, isTemporary, log, listening, stop } = options;
  const backoff = options.backoff ?? createBackoff({ firstMs: 1000, maxMs: 30_000 });
  while (!stop.aborted) {
    try {
      listening(await listen());
      return;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (!isTemporary(code) && !(error instanceof SocketError)) throw error;
      const waitMs = backoff.next();
      log.warn({ reason: message, retry_in_ms: waitMs }, 'cannot listen yet; trying again');
      await delay(waitMs, undefined, { signal: stop }).catch(() => {});
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
}
