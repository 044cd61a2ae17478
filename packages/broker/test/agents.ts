import type { Logger } from '@coold/runtime';
import { connectStubHost, type StubHostOptions } from '@coold/testbed';
import { handleStream } from '../src/agent/agent-service.ts';
import { createVerifier, type Verifier } from '../src/agent/auth.ts';
import { createHostCounts } from '../src/agent/host-counts.ts';
import { generateKeys, mintToken } from '../src/agent/token.ts';
import { createPending } from '../src/dispatch/pending.ts';
import { type GrpcOptions, listenGrpc } from '../src/grpc/grpc.ts';
import { createHosts } from '../src/hosts/hosts.ts';
import { createStreams } from '../src/streams/streams.ts';
import { newBuilds } from './builds.ts';

export const keys = generateKeys();
export const tokenFor = (hostId: string, caps = ['coold']) =>
  mintToken(keys.privateKey, { hostId, caps, ttlMs: 60_000 });

/** Keeps what is said but at debug. */
function keepingLog(lines: string[]): Logger {
  const write = (...args: unknown[]) => void lines.push(String(args.at(-1)));
  const log = { trace: write, debug: () => {}, info: write, warn: write, error: write } as unknown as Logger;
  return Object.assign(log, { child: () => log });
}

/** The hosts' end of a broker on a real port; hosts are stubs, so that they can misbehave. */
export async function startAgents(
  options: {
    grpc?: Partial<GrpcOptions>;
    verify?: Verifier;
    helloTimeoutMs?: number;
    maxPending?: number;
    windowBytes?: number;
  } = {},
) {
  const { verify = createVerifier(keys.publicKey), helloTimeoutMs = 60_000 } = options;
  const lines: string[] = [];
  const log = keepingLog(lines);
  const hosts = createHosts();
  const pending = createPending({
    max: options.maxPending ?? 100,
    timeoutMs: 5000,
    landedTtlMs: 30_000,
    overdueTtlMs: 60_000,
    landedMaxBytes: 1 << 20,
  });
  const streams = createStreams({ pending, windowBytes: options.windowBytes ?? 1000, timeoutMs: 5000 });
  const builds = newBuilds(pending);
  const counts = createHostCounts();
  const listener = await listenGrpc({
    bind: { host: '127.0.0.1', port: 0 },
    tls: undefined,
    handler: handleStream({ verify, hosts, pending, streams, builds, counts, log, helloTimeoutMs }),
    keepalive: { everyMs: 30_000, timeoutMs: 10_000 },
    log,
    ...options.grpc,
  });
  return {
    hosts,
    pending,
    streams,
    counts,
    lines,
    log,
    listener,
    address: listener.address,
    connect: (stub: Partial<StubHostOptions>) => connectStubHost({ address: listener.address, ...stub }),
    [Symbol.dispose]: () => listener.close(),
  };
}
