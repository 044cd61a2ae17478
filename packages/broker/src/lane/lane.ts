import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { failure, generalReason, type Reason, type Refusal } from '@coold/errors';
import { defaultBodyBytes, FieldError, readJsonText } from '@coold/proto';
import { createHttpEdge, type HttpEdge, type Logger } from '@coold/runtime';
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import type { RevocationEdits } from '../agent/revocation.ts';
import type { Builds } from '../builds/builds.ts';
import { type Fleet, listHost, maxFleetHosts } from '../builds/host-listing.ts';
import type { Dispatch } from '../dispatch/dispatch.ts';
import { type Reply, refuse } from '../hosts/envelope.ts';
import type { HostLocator } from '../hosts/host-locator.ts';
import type { Hosts } from '../hosts/hosts.ts';
import { RefusedError, refuseEncoded } from '../hosts/refused-error.ts';
import { ignoredFields, isObject, readableId } from '../hosts/router.ts';
import type { Metrics } from '../status/metrics.ts';
import type { BrokerStatus } from '../status/status.ts';
import type { OpenStream } from '../streams/open-stream.ts';
import type { Streams } from '../streams/streams.ts';
import { addBuildRoutes } from './build-lane.ts';
import { createDispatchDoor, type DispatchDoor, type DispatchDoorOptions } from './dispatch-door.ts';
import { addStreamRoutes } from './stream-lane.ts';
import { addTokenRoutes } from './token-lane.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The size of its body on the wire, when it is JSON. */
    bodyBytes: number;
  }
}

export interface LaneDeps {
  dispatch: Dispatch;
  openStream: OpenStream;
  streams: Pick<Streams, 'get' | 'open'>;
  builds: Builds;
  hosts: Hosts;
  operations: Operations;
  /** The answer of /openapi.json; undefined when there is no such path. */
  document?: object | undefined;
  /** Undefined when this broker has no file of revoked tokens. */
  revocation?: RevocationEdits | undefined;
  /** Undefined when this broker is alone. */
  locator?: Pick<HostLocator, 'locate' | 'carrier' | 'builds' | 'fleet'> | undefined;
  log: Logger;
  stalledReplyMs?: number;
  inputIdleMs?: number;
  /** The most bytes of a dispatch's body, for any verb. */
  dispatchBodyBytes: number;
}

/** The broker's own state. */
export interface Operations {
  metrics: Pick<Metrics, 'render'>;
  status(): Promise<BrokerStatus>;
}

export interface Lane {
  listen(path: string): Promise<void>;
  /**
   * Lets every reply in progress be written, for at most `graceMs` and with `connection: close`, and then cuts the
   * rest. Removing the socket's path before this keeps new connections away.
   */
  stop(graceMs: number): Promise<void>;
}

const jsonType = 'application/json';
/** docs/contract.md §2. */
const jsonTypes = /^application\/(?:[\w.-]+\+)?json(?:\s*;|$)/i;
const dispatchPath = '/v1/coold/dispatch';
/** Their bodies have the same keys around a command. */
const commandPaths = new Set([dispatchPath, '/v1/coold/stream', '/v1/build/dispatch']);
/** The most field names from a caller in a log line. */
const maxLoggedFields = 10;
/** Connections that wait to be accepted. A burst of Laravel's workers is far below. */
const backlog = 4096;
/** A caller that reads nothing of its reply for this long has left, in ms: an answer lands, a stream is cancelled. */
const defaultStalledReplyMs = 60_000;
/** Laravel sends a body faster than this, in ms. Input of a stream may be slow. */
const bodyTimeoutMs = 30_000;
/** How long a connection is kept without a request, in ms. */
const keepAliveMs = 75_000;
/** How long an input call waits for input, in ms. The next call takes over from it. */
const defaultInputIdleMs = 15 * 60_000;

/**
 * Laravel's HTTP lane (docs/contract.md §2), not yet listening: JSON in both directions, and one envelope for every
 * failure.
 */
export function createLane(deps: LaneDeps): Lane {
  const { dispatch, openStream, streams, builds, hosts, operations, locator, log, dispatchBodyBytes } = deps;
  const { stalledReplyMs = defaultStalledReplyMs, inputIdleMs = defaultInputIdleMs } = deps;
  const edge = createHttpEdge({
    errorBody: (code, message) => JSON.stringify(refuse(unreadRefusal(code, message)).envelope),
    bodyTimeoutMs,
    stalledReplyMs,
  });
  let stopping = false;
  const answer: Answer = (reply, { status, envelope }) => {
    if (stopping) reply.header('connection', 'close');
    return reply.code(status).send(envelope);
  };
  const refuseFailed: RefuseFailed = (error, request) => {
    const refusal = refusalOf(error, request);
    const { method, url } = request;
    if (refusal.code >= 500) log.error({ err: error, method, url }, 'unhandled error in request handler');
    return refuse(refusal);
  };
  const sayIgnored = (body: unknown) => {
    const fields = ignoredFields(body).slice(0, maxLoggedFields);
    if (fields.length > 0)
      log.debug({ fields: fields.map(name => name.slice(0, 64)) }, 'ignoring unknown fields of a request');
  };

  const lane = createServer(edge);
  const door = standBefore(lane.server, {
    dispatch,
    maxBodyBytes: dispatchBodyBytes,
    look: sayIgnored,
    failed: (error, body) =>
      refuseFailed(error, { method: 'POST', url: dispatchPath, body, params: {}, routeOptions: {} }),
    keepAliveMs,
    stalledReplyMs,
  });
  lane.addHook('preHandler', (request, _reply, done) => {
    if (commandPaths.has(request.url)) sayIgnored(request.body);
    done();
  });
  addFailures(lane, answer, refuseFailed);
  addOwnRoutes(lane, { hosts, builds, operations, locator, document: deps.document });
  addDispatchRoute(lane, { dispatch, dispatchBodyBytes, answer });
  addTokenRoutes(lane, deps.revocation);
  addStreamRoutes(lane, { openStream, streams, edge, answer, inputIdleMs });
  addBuildRoutes(lane, { builds, hosts, streams, locator, log, answer, refusalOf });
  return {
    listen: async path => void (await lane.listen({ path, backlog })),
    async stop(graceMs) {
      stopping = true;
      // Only when replies are out: closing a server destroys connections whose last bytes have not left yet.
      await Promise.all([edge.settled(graceMs), door.settle(graceMs)]);
      door.close();
      lane.server.closeAllConnections();
      await lane.close();
    },
  };
}

type Answer = (reply: FastifyReply, what: { status: number; envelope: object }) => FastifyReply;
type RefuseFailed = (error: unknown, request: FailedRequest & { method: string; url: string }) => Reply;

/** Creates the HTTP server with its content types and limits, without a route. */
function createServer(edge: HttpEdge): FastifyInstance {
  const lane: FastifyInstance = Fastify({
    bodyLimit: defaultBodyBytes,
    requestTimeout: 0,
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 5000 },
    keepAliveTimeout: keepAliveMs,
    // During a stop, requests still get our own envelope.
    return503OnClosing: false,
    // Each call judges its parameters; the request's header has its own limit.
    routerOptions: { maxParamLength: 16 * 1024 },
    frameworkErrors: ({ statusCode: code = 400, message }, _request, reply) => {
      const { envelope } = refuse(unreadRefusal(code, message));
      const body = JSON.stringify(envelope);
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      reply.raw.writeHead(code, headers).end(body);
    },
    clientErrorHandler: (error, socket) => edge.answerMalformed(error, socket),
  });
  edge.watch(lane.server);
  // No call uses this method. Without this the framework would reject its content type before the method.
  lane.addHttpMethod('QUERY', { hasBody: false, overrideExisting: true });
  lane.decorateRequest('bodyBytes', 0);
  lane.removeAllContentTypeParsers();
  lane.addContentTypeParser<Buffer>(
    jsonTypes,
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer) => {
      refuseEncoded(request.headers);
      request.bodyBytes = body.length;
      return body.length === 0 ? undefined : readJsonText(body);
    },
  );
  return lane;
}

/** Makes every connection begin at the dispatch door, which hands over to the server what is not a plain dispatch. */
function standBefore(server: Server, options: Omit<DispatchDoorOptions, 'pass'>): DispatchDoor {
  const serves = server.listeners('connection');
  server.removeAllListeners('connection');
  const pass = (socket: Socket) => {
    for (const serve of serves) serve.call(server, socket);
  };
  const door = createDispatchDoor({ ...options, pass });
  server.on('connection', (socket: Socket) => door.take(socket));
  return door;
}

/** Adds the answers for errors and unknown paths. Before the routes, whose methods it learns. */
function addFailures(lane: FastifyInstance, answer: Answer, refuseFailed: RefuseFailed): void {
  const places: { methods: string[]; path: RegExp }[] = [];
  lane.addHook('onRoute', ({ method, url }) => {
    const methods = [method].flat().filter(name => name !== 'HEAD');
    places.push({ methods, path: new RegExp(`^${url.replaceAll(/:[^/]+/g, '[^/]+')}$`) });
  });
  lane.setErrorHandler((error, request, reply) => answer(reply, refuseFailed(error, request)));
  lane.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? '';
    const methods = places.flatMap(place => (place.path.test(path) ? place.methods : []));
    if (methods.length === 0)
      return answer(reply, refuse({ requestId: '', ...failure('no_such_path', 'no such path') }));
    reply.header('allow', methods.join(', '));
    const wrong = failure('method_not_allowed', `expected ${methods.join(' or ')}`);
    return answer(reply, refuse({ requestId: '', ...wrong }));
  });
}

/** Adds the broker's own state and its hosts. */
function addOwnRoutes(
  lane: FastifyInstance,
  {
    hosts,
    builds,
    operations,
    locator,
    document,
  }: Pick<LaneDeps, 'hosts' | 'builds' | 'operations' | 'locator' | 'document'>,
): void {
  lane.get('/v1/health', () => ({ ok: true }));

  lane.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await operations.metrics.render();
    return reply.header('content-type', contentType).send(text);
  });

  lane.get('/v1/status', operations.status);

  if (document !== undefined) lane.get('/openapi.json', () => document);

  const listHosts = () => hosts.list().map(stream => listHost(stream, builds.load(stream.hostId)));

  /** The fleet of a broker that is alone. */
  function onlyOwn(): Fleet {
    const own = listHosts();
    return {
      hosts: own.slice(0, maxFleetHosts).map(host => ({ ...host, broker_id: null })),
      brokers: [{ broker_id: null, address: null, state: 'here', hosts: own.length, error: null }],
      complete: own.length <= maxFleetHosts,
    };
  }

  lane.get('/v1/streams', async ({ query }) => {
    const all = isObject(query) ? query['all'] : undefined;
    if (all === undefined || all === '0') return listHosts();
    if (all !== '1') throw new FieldError('all', 'expected 1, or 0 for the hosts of this broker alone');
    return locator === undefined ? onlyOwn() : locator.fleet();
  });
}

/** Adds dispatches in a form that the dispatch door does not take. */
function addDispatchRoute(
  lane: FastifyInstance,
  {
    dispatch,
    dispatchBodyBytes,
    answer,
  }: Pick<LaneDeps, 'dispatch' | 'dispatchBodyBytes'> & { answer: Answer },
): void {
  lane.post('/v1/coold/dispatch', { bodyLimit: dispatchBodyBytes }, (request, reply) => {
    const dispatched = dispatch(request.body, request.bodyBytes);
    const { ticket } = dispatched;
    if (ticket !== undefined) {
      const { raw } = reply;
      raw.once('close', () => {
        if (raw.writableFinished) ticket.delivered();
        else ticket.undelivered();
      });
    }
    dispatched.whenReplied(
      replied => void answer(reply, replied),
      error => void reply.send(error),
    );
  });
}

/** The refusal of bytes that are no HTTP, and so have no request_id. @param code of HTTP */
function unreadRefusal(code: number, message: string): Refusal {
  return { requestId: '', code, reason: generalReason(code), message };
}

/** What is known of a request whose route threw. */
interface FailedRequest {
  params: unknown;
  body: unknown;
  routeOptions: { bodyLimit?: number | undefined };
}

/** Returns the refusal for a request whose route threw, with its request_id if that could be read. */
function refusalOf(error: unknown, { params, body, routeOptions }: FailedRequest): Refusal {
  const { bodyLimit = defaultBodyBytes } = routeOptions;
  const requestId = readableId({ request_id: idIn(params) }) || readableId(body);
  const refused = (reason: Reason, message: string, field?: string) => ({
    requestId,
    ...failure(reason, message, field),
  });
  if (error instanceof FieldError) return refused('invalid_request', error.message, error.field);
  if (error instanceof RefusedError) return refused(error.reason, error.message);
  const { code, statusCode = 500 } = error as FastifyError;
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return refused('body_too_large', `body: expected at most ${bodyLimit} bytes`);
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return refused('media_type', `content-type: expected ${jsonType}`);
    default:
      return statusCode < 500
        ? { ...unreadRefusal(statusCode, 'body: cannot be read'), requestId }
        : refused('internal_error', 'internal error');
  }
}

/** Returns the request_id in a path. */
function idIn(params: unknown): unknown {
  return isObject(params) ? params['id'] : undefined;
}
