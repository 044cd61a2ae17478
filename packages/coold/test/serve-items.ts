import { create, type Message } from '@bufbuild/protobuf';
import { readVerbs } from '@coold/proto';
import { compileProto } from '@coold/proto/buf';
import { createLogger } from '@coold/runtime/logger';
import { holdReason } from '@coold/testbed';
import { type Dispatcher, request } from 'undici';
import type { Handler } from '../src/handler.ts';
import { createHttpServer, defaultLimits, type HttpLimits } from '../src/transport/http-server.ts';
import { createMetrics } from '../src/transport/metrics.ts';
import { openApiDocument } from '../src/transport/openapi.ts';
import { createRest } from '../src/transport/rest.ts';
import { restRoutes } from '../src/transport/rest-route.ts';
import { createStreams } from '../src/transport/streams.ts';
import { type Call, recordCalls } from '../src/verbs/calls.ts';
import { joinSurface } from '../src/verbs/surface.ts';

const off = createLogger('coold', { level: 'off', components: new Map() }, false);
const option = (name: string, method: string, path: string, status: number, rest = '') =>
  `[(coolify.agent.v1.verb) = { name: "${name}" ${rest} http: { method: "${method}" path: "${path}" status: ${status} } }]`;

/** The verbs of a noun made up for tests, compiled: one of each kind that REST has, and one that it has not. */
export async function compileItemVerbs(): Promise<ReturnType<typeof readVerbs>> {
  const registry = await compileProto({
    'test.proto': `
      syntax = "proto3";
      package test;
      import "coolify/agent/v1/verb.proto";
      message ItemReq { string id = 1; bool force = 2; uint32 timeout = 3; map<string, string> env = 4; }
      message Item { string id = 1; uint64 size = 2; }
      message Items { repeated Item items = 1; }
      message Nothing {}
      message Commands { oneof command {
        ItemReq create_item = 10 ${option('items.create', 'POST', '/api/v1/items', 201)};
        ItemReq list_items = 11 ${option('items.list', 'GET', '/api/v1/items', 200, 'body: "items"')};
        ItemReq get_item = 12 ${option('items.get', 'GET', '/api/v1/items/{id}', 200)};
        ItemReq delete_item = 13 ${option('items.delete', 'DELETE', '/api/v1/items/{id}', 204)};
        ItemReq stop_item = 14 ${option('items.stop', 'POST', '/api/v1/items/{id}/stop', 204)};
        ItemReq hidden = 15 [(coolify.agent.v1.verb) = { name: "items.hidden" }];
      } }
      message Answers { oneof body {
        Item create_item = 10; Items list_items = 11; Item get_item = 12; Nothing delete_item = 13;
        Nothing stop_item = 14; Nothing hidden = 15;
      } }`,
  });
  return readVerbs(registry.getMessage('test.Commands'), registry.getMessage('test.Answers'));
}

/** What answers them all. */
export type Run = (request: Record<string, unknown>, signal: AbortSignal) => Promise<Record<string, unknown>>;

/** Verbs over REST on a port of this machine, with what they log; the token is "token". */
export async function serveItems(
  verbs: ReturnType<typeof readVerbs>,
  run: Run = () => Promise.resolve({}),
  limits: Partial<HttpLimits> = {},
) {
  const handlers = [...verbs.values()].map(({ name, request, response }): [string, Handler] => [
    name,
    {
      request,
      response,
      run: async (message: Message, signal) =>
        create(response, await run(message as unknown as Record<string, unknown>, signal)),
    },
  ]);
  const routes = restRoutes(joinSurface(verbs, Object.fromEntries(handlers)));
  const calls: Call[] = [];
  const logged: unknown[] = [];
  const line = (...parts: unknown[]) => void logged.push(parts);
  const log = { ...off, trace: line, debug: line, info: line, warn: line, error: line };
  const metrics = createMetrics('1.2.3');
  const recordCall = recordCalls(log, metrics);
  const handle = await createRest({
    routes,
    mayCall: header => header === 'Bearer token',
    metrics,
    streams: createStreams(log),
    document: openApiDocument(
      routes.map(({ verb }) => verb),
      '1.2.3',
    ),
    record(call) {
      calls.push(call);
      recordCall(call);
    },
    log,
  });
  const server = createHttpServer({
    handle,
    tls: undefined,
    limits: { ...defaultLimits, stalledReplyMs: 300, ...limits },
    log,
  });
  const address = await server.listen({ host: '127.0.0.1', port: 0 });
  return {
    address,
    calls,
    logged,
    async ask(
      method: string,
      path: string,
      options: { body?: unknown; headers?: object; text?: string } = {},
    ) {
      const { body, headers, text } = options;
      const answer = await request(`http://${address}${path}`, {
        method: method as Dispatcher.HttpMethod,
        headers: {
          authorization: 'Bearer token',
          ...(body === undefined && text === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: text ?? (body === undefined ? null : JSON.stringify(body)),
      });
      const raw = await answer.body.text();
      const json: unknown = raw.startsWith('{') || raw.startsWith('[') ? JSON.parse(raw) : raw;
      holdReason(json, answer.statusCode);
      return { status: answer.statusCode, headers: answer.headers, json };
    },
    [Symbol.asyncDispose]: () => server.close(0),
  };
}
