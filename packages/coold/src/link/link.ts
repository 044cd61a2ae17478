import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Hello } from '@coold/proto';
import {
  type Backoff,
  createBackoff,
  type Logger,
  readSecretFile,
  SecretError,
  type Task,
} from '@coold/runtime';
import { status as grpcStatus } from '@grpc/grpc-js';
import type { ServeCommands } from '../api/stream.ts';
import type { BrokerUrl } from './broker-url.ts';
import { dial, type Keepalive } from './dial.ts';

export interface LinkOptions {
  url: BrokerUrl;
  tokenPath: string;
  caPath: string | undefined;
  /** What is said first, at every dial anew; of the token only what it claims is known. */
  hello: (token: string) => Promise<Hello>;
  serve: ServeCommands;
  log: Logger;
  /** Told in one line whenever the stream's state changes. */
  onState: (line: string, connected: boolean) => void;
  keepalive?: Keepalive;
  backoff?: Backoff;
  /** Leaves in good order and dials again at a random moment of the second half of so many ms; undefined: never. */
  reconnectEveryMs?: number | undefined;
}

/** docs/contract.md §1. */
const defaultKeepalive: Keepalive = { everyMs: 30_000, timeoutMs: 10_000 };
/** What commands get to finish in once coold stops, in ms. */
const finishMs = 2000;
/** What they get when it is the broker that stops: its own patience is not longer, in ms. */
const leaveMs = 3000;
/** Longest window to come back in that a broker is believed, in ms. */
const maxWindowMs = 300_000;
/** In which a host comes back that has left by itself, in ms. */
const reconnectWindowMs = 1000;

/**
 * Keeps the outbound stream up: dial, Hello, commands, and after any end a redial with backoff. An unreachable broker is
 * logged and retried, never the end of this task.
 *
 * @throws SecretError from the returned task when the token cannot be used at start
 */
export function keepLink(options: LinkOptions): Task {
  const { url, log, onState } = options;
  const keepalive = options.keepalive ?? defaultKeepalive;
  const backoff = options.backoff ?? createBackoff({ firstMs: 1000, maxMs: 60_000 });
  return async stop => {
    let material = await readMaterial(options);
    while (!stop.aborted) {
      onState(`broker ${url.authority}: connecting`, false);
      const end = await runSession({ ...options, ...material, keepalive }, stop);
      if (stop.aborted) return;
      const { accepted, code, reason, comeBackWithinMs } = end;
      if (comeBackWithinMs !== undefined) {
        backoff.reset();
        const waitMs = Math.floor(Math.random() * comeBackWithinMs);
        log.info({ broker: url.authority, redial_in_ms: waitMs }, 'left the broker; dialling again');
        onState(`broker ${url.authority}: between two streams`, false);
        await delay(waitMs, undefined, { signal: stop }).catch(() => {});
        material = await rereadMaterial(options, material);
        continue;
      }
      // A host that is replaced again and again has a twin: backing off keeps the two from spinning.
      if (accepted && code !== grpcStatus.ABORTED) backoff.reset();
      const waitMs = backoff.next();
      log.warn(
        { broker: url.authority, reason, redial_in_ms: waitMs },
        'no stream to the broker; dialling again',
      );
      onState(`broker ${url.authority}: not connected (${reason})`, false);
      await delay(waitMs, undefined, { signal: stop }).catch(() => {});
      material = await rereadMaterial(options, material);
    }
  };
}

interface Material {
  token: string;
  ca: string | undefined;
}

/** @throws Error naming the file that cannot be used; never what is in it */
async function readMaterial({ url, tokenPath, caPath }: LinkOptions): Promise<Material> {
  const token = await readSecretFile(tokenPath);
  if (!/^[A-Za-z0-9._~+/=-]+$/.test(token))
    throw new SecretError(`${tokenPath} does not hold a token: expected one JWT`);
  return { token, ca: url.tls && caPath !== undefined ? await readCertificates(caPath) : undefined };
}

async function readCertificates(path: string): Promise<string> {
  try {
    const pem = await readFile(path, 'utf8');
    new X509Certificate(pem); // throws where the first is none; TLS would pass over it in silence
    return pem;
  } catch (error) {
    throw new Error(`COOLD_BROKER_CA=${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** What the files hold now; what they held before, when they are just being replaced or have gone bad. */
async function rereadMaterial(options: LinkOptions, last: Material): Promise<Material> {
  try {
    return await readMaterial(options);
  } catch (error) {
    options.log.error({ err: error }, 'token or CA cannot be read again; dialling with what was read before');
    return last;
  }
}

interface SessionEnd {
  accepted: boolean;
  code: number;
  reason: string;
  /** We left, and are back at a random moment of so many ms. */
  comeBackWithinMs: number | undefined;
}

/** One stream from dial to end; commands run side by side, and what they answer goes out as they finish. */
async function runSession(
  options: LinkOptions & Material & { keepalive: Keepalive },
  stop: AbortSignal,
): Promise<SessionEnd> {
  const { url, token, log, onState } = options;
  const hello = await options.hello(token);
  const gone = new AbortController();
  const atWork = new Set<Promise<void>>();
  let comeBackWithinMs: number | undefined;
  let reconnect: NodeJS.Timeout | undefined;
  const leave = (windowMs: number) => {
    if (comeBackWithinMs !== undefined || stop.aborted) return;
    comeBackWithinMs = windowMs;
    finish(leaveMs);
  };
  const session = dial(
    { ...options, hello },
    {
      accepted() {
        log.info({ broker: url.authority }, 'connected to the broker');
        onState(`broker ${url.authority}: connected`, true);
        const { reconnectEveryMs } = options;
        if (reconnectEveryMs === undefined) return;
        // Hosts that came together shall not leave together.
        const inMs = reconnectEveryMs * (0.5 + Math.random() / 2);
        reconnect = setTimeout(leave, inMs, reconnectWindowMs);
      },
      command(message) {
        if (message.command.case === 'shutdownHint') {
          const { windowMs } = message.command.value;
          log.info({ broker: url.authority, window_ms: windowMs }, 'the broker stops; leaving it');
          leave(Math.min(windowMs, maxWindowMs));
          return;
        }
        const work = take(message).finally(() => atWork.delete(work));
        atWork.add(work);
      },
    },
  );
  const take = options.serve({ send: session.send, gone: gone.signal });

  /** Answers what is under way, for so many ms at the most, and then says goodbye. */
  const finish = (graceMs: number) => {
    const late = setTimeout(() => session.cancel(), graceMs);
    void Promise.all(atWork).then(() => session.finish());
    void session.ended.then(() => clearTimeout(late));
  };
  const onStop = () => finish(finishMs);
  stop.addEventListener('abort', onStop, { once: true });
  if (stop.aborted) onStop();
  const { accepted, status } = await session.ended;
  stop.removeEventListener('abort', onStop);
  clearTimeout(reconnect);
  gone.abort();
  return {
    accepted,
    code: status.code,
    reason: `${grpcStatus[status.code]}: ${status.details}`,
    comeBackWithinMs,
  };
}
