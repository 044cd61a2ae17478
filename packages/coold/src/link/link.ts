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
  onState: (line: string) => void;
  keepalive?: Keepalive;
  backoff?: Backoff;
}

/** CONTRACT §1. */
const defaultKeepalive: Keepalive = { everyMs: 30_000, timeoutMs: 10_000 };
/** What commands get to finish in once coold stops, in ms. */
const finishMs = 2000;

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
      onState(`broker ${url.authority}: connecting`);
      const { accepted, code, reason } = await runSession({ ...options, ...material, keepalive }, stop);
      if (stop.aborted) return;
      // A host that is replaced again and again has a twin: backing off keeps the two from spinning.
      if (accepted && code !== grpcStatus.ABORTED) backoff.reset();
      const waitMs = backoff.next();
      log.warn(
        { broker: url.authority, reason, redial_in_ms: waitMs },
        'no stream to the broker; dialling again',
      );
      onState(`broker ${url.authority}: not connected (${reason})`);
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
  const session = dial(
    { ...options, hello },
    {
      accepted() {
        log.info({ broker: url.authority }, 'connected to the broker');
        onState(`broker ${url.authority}: connected`);
      },
      command(message) {
        const work = take(message).finally(() => atWork.delete(work));
        atWork.add(work);
      },
    },
  );
  const take = options.serve({ send: session.send, gone: gone.signal });

  const onStop = () => {
    const late = setTimeout(() => session.cancel(), finishMs);
    void Promise.all(atWork).then(() => session.finish());
    void session.ended.then(() => clearTimeout(late));
  };
  stop.addEventListener('abort', onStop, { once: true });
  if (stop.aborted) onStop();
  const { accepted, status } = await session.ended;
  stop.removeEventListener('abort', onStop);
  gone.abort();
  return { accepted, code: status.code, reason: `${grpcStatus[status.code]}: ${status.details}` };
}
