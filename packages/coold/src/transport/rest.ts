import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { asVerbError, generalReason, type Reason, VerbError } from '@coold/errors';
import { answerEncoder, defaultBodyBytes, FieldError, readJsonText } from '@coold/proto';
import type { Logger } from '@coold/runtime';
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify';
import { callerLeft, type RecordCall } from '../verbs/calls.ts';
import { createOpenInputs, type OpenInputs } from './exec-inputs.ts';
import type { Metrics } from './metrics.ts';
import { readRestRequest } from './rest-request.ts';
import { inputPath, methodsOn, type RestRoute } from './rest-route.ts';
import { answerStream, bringInput, ndjsonType, type RestStreamOptions } from './rest-stream.ts';
import type { Streams } from './streams.ts';

export interface RestOptions {
  routes: readonly RestRoute[];
  /** Judges the `Authorization` header of every path except /healthz. */
  mayCall: (header: string | undefined) => boolean;
  metrics: Pick<Metrics, 'render'>;
  /** Returns the answer of /status; undefined when there is no such path. */
  status?: () => Promise<object>;
  /** The answer of /openapi.json; undefined when there is no such path. */
  document: object | undefined;
  record: RecordCall;
  streams: Streams;
  log: Logger;
}

/** Answers one HTTP request. @param liftTimeout removes the time limit of its body */
export type HandleRequest = (
  request: IncomingMessage,
  response: ServerResponse,
  liftTimeout: () => void,
) => void;

/** An image reference with a digest exceeds the router's usual 100; the request's header has its own limit. */
const maxParamLength = 16 * 1024;
/** docs/contract.md §2: the form of a request id. */
const requestIdPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;
const jsonType = 'application/json; charset=utf-8';

/**
 * The verbs over REST (docs/contract.md §3) for any HTTP server: JSON in both directions, failures as
 * `{"error","field"?}`. An unknown path is a 404; nothing is passed through to Podman.
 */
export async function createRest(options: RestOptions): Promise<HandleRequest> {
  const { mayCall, log } = options;
  const timeouts: Timeouts = new WeakMap();
  const app = createApp(options, timeouts);
  await app.ready();
  return (request, response, liftTimeout) => {
    timeouts.set(request, liftTimeout);
    // Before routing and parsing, so that no path, method or malformed URL reveals anything to callers without the
    // token.
    const { url = '', headers } = request;
    if (url.split('?')[0] !== '/healthz' && !mayCall(headers.authorization)) {
      log.debug({ address: request.socket.remoteAddress }, 'request without the token');
      refuseStranger(response);
    } else app.routing(request, response);
  };
}

/** Removes the time limit of a request's body. */
type Timeouts = WeakMap<IncomingMessage, () => void>;

function refuseStranger(response: ServerResponse): void {
  const body = JSON.stringify({ error: 'unauthorized', reason: 'unauthorized' satisfies Reason });
  response.writeHead(401, {
    'content-type': jsonType,
    'content-length': Buffer.byteLength(body),
    'www-authenticate': 'Bearer',
    // The rest of an unauthenticated request is not read.
    connection: 'close',
  });
  response.end(body);
}

function createApp(options: RestOptions, timeouts: Timeouts): FastifyInstance {
  const { routes, metrics, status, document, log } = options;
  const context = { ...options, inputs: createOpenInputs() };
  const app = Fastify({
    bodyLimit: defaultBodyBytes,
    exposeHeadRoutes: false,
    requestIdHeader: false,
    genReqId: ({ headers }) => {
      const given = headers['x-request-id'];
      return typeof given === 'string' && requestIdPattern.test(given) ? given : randomUUID();
    },
    return503OnClosing: false,
    routerOptions: { maxParamLength },
    // A path that is not percent-encoded UTF-8.
    frameworkErrors: (error, _request, reply) =>
      void sendError(
        reply,
        new VerbError(generalReason(error.statusCode ?? 400), 'path: is not percent-encoded UTF-8'),
      ),
  });
  // Fastify accepts a body with DELETE; for GET that has to be enabled.
  app.addHttpMethod('GET', { hasBody: true, overrideExisting: true });
  // No call uses this method. Without this the framework would reject its content type before the method.
  app.addHttpMethod('QUERY', { hasBody: false, overrideExisting: true });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser<Buffer>(
    'application/json',
    { parseAs: 'buffer' },
    async ({ headers }: { headers: IncomingMessage['headers'] }, body: Buffer) => {
      if ((headers['content-encoding'] ?? 'identity') !== 'identity')
        throw new VerbError('media_type', 'content-encoding: expected none');
      return body.length === 0 ? undefined : readJsonText(body);
    },
  );
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });

  app.get('/healthz', (_request, reply) => sendJson(reply, { ok: true }));
  app.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await metrics.render();
    return reply.header('content-type', contentType).send(text);
  });
  if (status !== undefined) app.get('/status', async (_request, reply) => sendJson(reply, await status()));
  if (document !== undefined) app.get('/openapi.json', (_request, reply) => sendJson(reply, document));
  for (const route of routes) addVerb(app, route, context);
  void app.register(async scope => {
    for (const route of routes) addInput(scope, route, context.inputs, timeouts);
  });

  const own = ['/healthz', '/metrics', ...(document === undefined ? [] : ['/openapi.json'])];
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? '';
    const methods = own.includes(path) ? ['GET'] : methodsOn(routes, path);
    if (methods.length === 0) return sendError(reply, new VerbError('no_such_path', 'no such path'));
    reply.header('allow', methods.join(', '));
    return sendError(reply, new VerbError('method_not_allowed', `expected ${methods.join(' or ')}`));
  });
  app.setErrorHandler((error, request, reply) =>
    sendError(reply, failureOf(error, request.routeOptions, log)),
  );
  return app;
}

interface Context extends RestStreamOptions {
  record: RecordCall;
}

function addVerb(app: FastifyInstance, route: RestRoute, context: Context): void {
  const { verb, handler, place } = route;
  const { record, log } = context;
  // The results of streams, which were answered with 200 before their end was known.
  const outcomes = new WeakMap<ServerResponse, number>();
  const encode = answerEncoder(verb);
  app.route<{ Params: Record<string, string> }>({
    method: place.method,
    url: place.path.replaceAll(parameterPattern, ':$1'),
    // A longer body is a 413.
    bodyLimit: place.maxBodyBytes,
    onRequest: async (request, reply) => {
      const started = performance.now();
      reply.raw.once('close', () =>
        record({
          requestId: request.id,
          verb: verb.name,
          transport: 'rest',
          status: reply.raw.writableFinished ? (outcomes.get(reply.raw) ?? reply.raw.statusCode) : callerLeft,
          durationMs: performance.now() - started,
        }),
      );
    },
    handler: async (request, reply) => {
      const [, query = ''] = /\?(.*)$/s.exec(request.url) ?? [];
      const message = readRestRequest(route.request, { params: request.params, query, body: request.body });
      if (handler.stream !== undefined) {
        const path = filled(place.path, request.params);
        const call = { verb: verb.name, lines: verb.lines, form: handler.stream, request: message, path };
        const outcome = await answerStream({ ...call, requestId: request.id, response: reply.raw }, context);
        outcomes.set(reply.raw, outcome);
        return reply.hijack();
      }
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      const answer = await handler.run(message, gone.signal).catch((error: unknown) => {
        throw asVerbError(error, verb.name, log);
      });
      reply.code(place.status);
      return place.status === 204 ? reply.send() : sendJson(reply, encode(answer));
    },
  });
}

/** Adds the call that delivers input to a stream, as NDJSON that is read as it comes. */
function addInput(scope: FastifyInstance, route: RestRoute, inputs: OpenInputs, timeouts: Timeouts): void {
  const path = inputPath(route);
  if (path === undefined) return;
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser([ndjsonType, 'application/json'], (_request, body, done) => done(null, body));
  scope.post<{ Params: Record<string, string>; Body: IncomingMessage | undefined }>(
    path.replaceAll(parameterPattern, ':$1'),
    { bodyLimit: Number.MAX_SAFE_INTEGER },
    async ({ params, body, raw }, reply) => {
      const { session = '' } = params;
      timeouts.get(raw)?.();
      try {
        // A request without a body has nothing to parse, and stands for itself.
        await bringInput(inputs, session, filled(route.place.path, params), body ?? raw);
      } catch (error) {
        // The rest of the body is not read.
        if (!raw.complete) reply.header('connection', 'close');
        throw error;
      }
      return reply.code(204).send();
    },
  );
}

const parameterPattern = /\{([^}]*)\}/g;

/** Fills a path's parameters in, percent-encoded. */
function filled(template: string, params: Readonly<Record<string, string>>): string {
  return template.replaceAll(parameterPattern, (_, name: string) => encodeURIComponent(params[name] ?? ''));
}

/** Failures before a handler are fastify's and have a status. Everything else is a fault of ours. */
function failureOf(
  error: unknown,
  { url = '', bodyLimit }: { url?: string | undefined; bodyLimit: number },
  log: Logger,
): VerbError {
  if (error instanceof VerbError || error instanceof FieldError) return asVerbError(error, url, log);
  const { code, statusCode = 500 } = error as FastifyError;
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new VerbError('body_too_large', `body: expected at most ${bodyLimit} bytes`);
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new VerbError(
        'media_type',
        `content-type: expected ${url.endsWith('/input') ? ndjsonType : 'application/json'}`,
      );
    default:
      return statusCode < 500
        ? new VerbError(generalReason(statusCode), 'body: cannot be read')
        : asVerbError(error, url, log);
  }
}

function sendError(reply: FastifyReply, { code, reason, message, field }: VerbError): FastifyReply {
  reply.code(code);
  return sendJson(reply, { error: message, reason, ...(field === undefined ? {} : { field }) });
}

/** Serialised here, because the framework would look for streams and the like in the value. */
function sendJson(reply: FastifyReply, value: unknown): FastifyReply {
  return reply.header('content-type', jsonType).send(JSON.stringify(value));
}
