// The build lane from socket to stream, with stub hosts; for tests.
import { join } from 'node:path';
import type { Reason } from '@coold/errors';
import { readVerbs } from '@coold/proto';
import { logFilter } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import {
  createStubBuilder,
  type StubBuilder,
  type StubBuilderOptions,
  scratchFolder,
  unixHttp,
} from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { expect, vi } from 'vitest';
import { handleStream } from '../src/agent/agent-service.ts';
import { createVerifier } from '../src/agent/auth.ts';
import { createHostCounts } from '../src/agent/host-counts.ts';
import { generateKeys, mintToken } from '../src/agent/token.ts';
import { createDispatch } from '../src/dispatch/dispatch.ts';
import { createPending } from '../src/dispatch/pending.ts';
import { listenGrpc } from '../src/grpc/grpc.ts';
import { createHosts } from '../src/hosts/hosts.ts';
import { compileRoutes, largestBody } from '../src/hosts/router.ts';
import { createLane } from '../src/lane/lane.ts';
import { createOpenStream } from '../src/streams/open-stream.ts';
import { createStreams } from '../src/streams/streams.ts';
import { newBuilds } from './builds.ts';
import { silentOperations } from './lane.ts';

const keys = generateKeys();
export const digest = `sha256:${'a'.repeat(64)}`;
const command = {
  repo_url: 'https://git.example/app.git',
  git_ref: 'main',
  target_image: 'localhost/app:v1',
};
/** Credit of one stream. */
export const windowBytes = 64 * 1024;
/** Generous, for a machine that is busy; what it waits for is a moment away. */

/** Both ends of a broker in this process, on a real socket and a real port; hosts are stubs whose builds a test ends. */
export async function setUpLane(options: { max?: number; stalledReplyMs?: number } = {}) {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await scratchFolder());
  const log = createLogger('broker', logFilter.parse('off') ?? expect.fail(), false);
  const hosts = createHosts();
  const pending = createPending({
    max: options.max ?? 100,
    timeoutMs: 10_000,
    landedTtlMs: 30_000,
    overdueTtlMs: 60_000,
    landedMaxBytes: 1 << 20,
  });
  const streams = createStreams({ pending, windowBytes, timeoutMs: 10_000 });
  let time = 0;
  const builds = newBuilds(pending, () => time);
  const poll = vi.spyOn(builds, 'poll');
  const verify = createVerifier(keys.publicKey);
  const listener = await listenGrpc({
    bind: { host: '127.0.0.1', port: 0 },
    tls: undefined,
    handler: handleStream({
      verify,
      hosts,
      pending,
      streams,
      builds,
      counts: createHostCounts(),
      log,
      helloTimeoutMs: 10_000,
    }),
    keepalive: { everyMs: 30_000, timeoutMs: 10_000 },
    log,
  });
  stack.defer(() => listener.close());
  const routes = compileRoutes(readVerbs());
  const lane = createLane({
    hosts,
    streams,
    builds,
    log,
    operations: silentOperations,
    dispatch: createDispatch({ hosts, pending, routes, record: () => {} }),
    dispatchBodyBytes: largestBody(routes),
    openStream: createOpenStream({ hosts, streams, routes }),
    ...(options.stalledReplyMs === undefined ? {} : { stalledReplyMs: options.stalledReplyMs }),
  });
  const socketPath = join(folder.path, 'lane.sock');
  await lane.listen(socketPath);
  stack.defer(() => lane.stop(0));
  const http = stack.use(unixHttp(socketPath));
  const get = async (path: string) => {
    const { status, text } = await http.request({ path });
    return { status, body: JSON.parse(text) as Record<string, unknown> };
  };
  const post = async (path: string, json?: unknown) => {
    const { status, text } = await http.request({ method: 'POST', path, json });
    return { status, body: text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>) };
  };
  const dispatch = (requestId: string, more: object = {}, body: object = {}) =>
    post('/v1/build/dispatch', {
      request_id: requestId,
      command: { type: 'static_build', ...command, ...more },
      ...body,
    });
  return {
    dispatch,
    hosts,
    builds,
    poll,
    socketPath,
    http,
    get,
    post,
    pending,
    streams,
    /** Of the listener that hosts dial. */
    address: listener.address,
    async remove(requestId: string) {
      const { status, text } = await http.request({ method: 'DELETE', path: `/v1/build/${requestId}` });
      return text === '' ? { status } : { status, body: JSON.parse(text) as Record<string, unknown> };
    },
    /** Dispatches a build, and waits until its host has it. */
    async begun(requestId: string, host: StubBuilder): Promise<void> {
      expect((await dispatch(requestId)).status).toBe(202);
      await soon(() => expect(host.builds.has(requestId)).toBe(true));
    },
    /** Cuts the only host there is, and waits until the broker has seen it. */
    async gone(host: StubBuilder): Promise<void> {
      host.cut();
      await soon(() => expect(hosts.list()).toEqual([]));
    },
    result: (requestId: string, timeoutMs?: number | string) =>
      get(`/v1/build/result/${requestId}${timeoutMs === undefined ? '' : `?timeout_ms=${timeoutMs}`}`),
    async builder(hostId: string, more: Partial<StubBuilderOptions> = {}): Promise<StubBuilder> {
      const token = await mintToken(keys.privateKey, { hostId, caps: ['coold', 'builder'], ttlMs: 60_000 });
      const stub = createStubBuilder({ address: listener.address, token, ...more });
      await stub.connect();
      stack.defer(() => stub.cut());
      return stub;
    },
    pass(ms: number) {
      time += ms;
      builds.tick();
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export const error = (requestId: string, code: number, reason: Reason, message: string, stage: string) => ({
  status: code,
  body: { request_id: requestId, status: 'error', code, reason, message, stage },
});
/** The commands that a host was sent, by their kinds. */
export const cases = ({ commands }: StubBuilder) => commands.map(({ command: { case: kind } }) => kind);
