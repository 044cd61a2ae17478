import { join } from 'node:path';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type Response,
  ResponseSchema,
  readVerbs,
  requestIdOf,
  type ServerMsg,
  type Verb,
} from '@coold/proto';
import { logFilter } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import { scratchFolder, unixHttp } from '@coold/testbed';
import { expect } from 'vitest';
import { createDispatch } from '../src/dispatch/dispatch.ts';
import { createPending } from '../src/dispatch/pending.ts';
import { createHosts } from '../src/hosts/hosts.ts';
import { compileRoutes, largestBody } from '../src/hosts/router.ts';
import { createLane, type Operations } from '../src/lane/lane.ts';
import { laneDocument } from '../src/lane/lane-document.ts';
import { createOpenStream } from '../src/streams/open-stream.ts';
import { createStreams } from '../src/streams/streams.ts';
import { newBuilds } from './builds.ts';
import { fakeHostStream } from './host-stream.ts';

type ResponseBody = Response['body'];
/** What a host answers to list_containers. */
export const containers: ResponseBody = {
  case: 'listContainers',
  value: create(ResponseSchema, {
    body: {
      case: 'listContainers',
      value: {
        containers: [{ id: 'c1', name: 'web', image: 'nginx', state: 'running', networks: ['podman'] }],
      },
    },
  }).body.value as never,
};

/** Of a lane that is not asked how its broker is. */
export const silentOperations: Operations = {
  metrics: { render: () => Promise.reject(new Error('no metrics here')) },
  status: () => Promise.reject(new Error('no status here')),
};

/** A lane on a real socket, and a host whose answers the test decides; its stream is a stand-in. */
export async function startLane(
  options: {
    timeoutMs?: number;
    max?: number;
    schemaMax?: number;
    verbs?: Map<string, Verb>;
    stalledReplyMs?: number;
    inputIdleMs?: number;
    windowBytes?: number;
  } = {},
) {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await scratchFolder());
  const hosts = createHosts();
  const pending = createPending({
    max: options.max ?? 100,
    timeoutMs: options.timeoutMs ?? 5000,
    landedTtlMs: 30_000,
    overdueTtlMs: 60_000,
    landedMaxBytes: 1 << 20,
  });
  const routes = compileRoutes(options.verbs ?? readVerbs());
  const timeoutMs = options.timeoutMs ?? 5000;
  const streams = createStreams({ pending, windowBytes: options.windowBytes ?? 256 * 1024, timeoutMs });
  const builds = newBuilds(pending);
  const lane = createLane({
    dispatch: createDispatch({ hosts, pending, routes, record: () => {} }),
    dispatchBodyBytes: largestBody(routes),
    openStream: createOpenStream({ hosts, streams, routes }),
    streams,
    builds,
    hosts,
    operations: silentOperations,
    document: laneDocument(readVerbs().values(), '1.2.3'),
    log: createLogger('broker', logFilter.parse('off') ?? expect.fail(), false),
    ...(options.stalledReplyMs === undefined ? {} : { stalledReplyMs: options.stalledReplyMs }),
    ...(options.inputIdleMs === undefined ? {} : { inputIdleMs: options.inputIdleMs }),
  });
  const socketPath = join(folder.path, 'lane.sock');
  await lane.listen(socketPath);
  stack.defer(() => lane.stop(0));
  const http = stack.use(unixHttp(socketPath));
  const sent: ServerMsg[] = [];
  const listeners: ((message: ServerMsg) => void)[] = [];
  const take = (message: ServerMsg) => {
    sent.push(message);
    // Later, as on a wire.
    for (const listen of listeners) setImmediate(listen, message);
  };
  const host = fakeHostStream('h', {
    schemaMax: options.schemaMax ?? 2,
    send(message) {
      take(message);
      return true;
    },
    sendOwed: take,
  });
  hosts.add(host);
  const answer = (requestId: string, body: ResponseBody) =>
    pending.answer(host, create(ResponseSchema, { requestId, body }), 10);
  const say = (requestId: string, body: NonNullable<MessageInitShape<typeof ResponseSchema>['body']>) =>
    streams.hear(host, create(ResponseSchema, { requestId: nameOf(requestId), body }));
  /** What the host was last told to call the stream of that id. */
  const nameOf = (requestId: string) =>
    sent.findLast(({ requestId: name, stream }) => stream !== undefined && requestIdOf(name) === requestId)
      ?.requestId ?? requestId;
  const dispatch = (body: object) => http.request({ method: 'POST', path: '/v1/coold/dispatch', json: body });
  const list = (requestId: string, extra: object = {}) =>
    dispatch({ host_id: 'h', request_id: requestId, command: { type: 'list_containers' }, ...extra });
  return {
    lane,
    hosts,
    pending,
    streams,
    host,
    http,
    sent,
    /** Calls with every message that the host is sent from now on. */
    onSent: (listen: (message: ServerMsg) => void) => void listeners.push(listen),
    answer,
    say,
    dispatch,
    list,
    socketPath,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
