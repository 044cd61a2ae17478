import { readFile } from 'node:fs/promises';
import { readVerbs } from '@coold/proto';
import { type Logger, placeSocket, type Readiness, readSecretFile, type Task } from '@coold/runtime';
import { handleStream } from './agent-service.ts';
import { createVerifier } from './auth.ts';
import type { BrokerConfig } from './config.ts';
import { createDispatch } from './dispatch.ts';
import { type GrpcListener, listenGrpc } from './grpc.ts';
import { createHosts } from './hosts.ts';
import { createLane } from './lane.ts';
import { createPending } from './pending.ts';
import { compileRoutes } from './router.ts';

/** How long parked dispatches may still be answered once the broker stops, in ms. */
const drainMs = 3000;
const backlog = 4096;

/**
 * The broker's one task: both listeners up, ready, and on the signal an orderly way down: no new work, parked dispatches
 * answered or failed, then the streams.
 *
 * @throws Error when a key, certificate, address or socket cannot be used
 */
export function serveBroker(config: BrokerConfig, log: Logger, readiness: Readiness): Task {
  return async signal => {
    const verify = await loadVerifier(config.jwtPublicKeyPath);
    const tls = await loadTls(config);
    const hosts = createHosts();
    const pending = createPending({
      max: config.pendingMax,
      timeoutMs: config.dispatchTimeoutSecs * 1000,
      landedTtlMs: 30_000,
      overdueTtlMs: 300_000,
      landedMaxBytes: 64 * 1024 * 1024,
    });
    const streams = handleStream({ verify, hosts, pending, log: log.child('grpc'), helloTimeoutMs: 10_000 });
    const lane = createLane({
      dispatch: createDispatch({ hosts, pending, routes: compileRoutes(readVerbs()) }),
      hosts,
    });
    let grpc: GrpcListener | undefined;
    let removeSocket: (() => Promise<void>) | undefined;
    try {
      grpc = await listenGrpc({
        bind: config.grpcBind,
        tls,
        handler: streams,
        keepalive: { everyMs: 30_000, timeoutMs: 10_000 },
      });
      log.info({ address: grpc.address, tls: tls !== undefined }, 'listening for coolds');
      removeSocket = await placeSocket({
        path: config.unixSocketPath,
        group: config.unixSocketGroup,
        listen: async path => void (await lane.listen({ path, backlog })),
      });
      log.info({ path: config.unixSocketPath }, 'listening for Laravel');
      await readiness.ready('serving');
      await aborted(signal);
      await readiness.stopping();
      grpc.refuseNew();
      await removeSocket();
      await Promise.all([pending.drain(drainMs), lane.close()]);
      for (const stream of hosts.list()) stream.close('stopping');
    } finally {
      await removeSocket?.();
      await lane.close();
      grpc?.close();
    }
  };
}

async function loadVerifier(path: string) {
  try {
    return createVerifier(await readFile(path, 'utf8'));
  } catch (error) {
    throw new Error(`BROKER_JWT_PUBLIC_KEY_PATH=${path}: ${(error as Error).message}`, { cause: error });
  }
}

async function loadTls({ tlsCert, tlsKey }: BrokerConfig) {
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  try {
    return { cert: await readFile(tlsCert, 'utf8'), key: await readSecretFile(tlsKey) };
  } catch (error) {
    throw new Error(`BROKER_TLS_CERT and BROKER_TLS_KEY: ${(error as Error).message}`, { cause: error });
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
}
