import { defaultBodyBytes, FieldError, readJsonText } from '@coold/proto';
import { createHttpEdge, type Logger } from '@coold/runtime';
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import { addBuildRoutes } from './build-lane.ts';
import type { Builds } from './builds.ts';
import type { Dispatch } from './dispatch.ts';
import type { Elsewhere } from './elsewhere.ts';
import { refuse } from './envelope.ts';
import type { Hosts } from './hosts.ts';
import type { Metrics } from './metrics.ts';
import type { OpenStream } from './open-stream.ts';
import { buildPlaces } from './placement.ts';
import { RefusedError, refuseEncoded } from './refused-error.ts';
import type { Refusal } from './router.ts';
import type { BrokerStatus } from './status.ts';
import { addStreamRoutes } from './stream-lane.ts';
import type { Streams } from './streams.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What its body had on the wire, where it is JSON. */
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
  /** Undefined: this broker is alone. */
  elsewhere?: Pick<Elsewhere, 'where'> | undefined;
  log: Logger;
  stalledReplyMs?: number;
  inputIdleMs?: number;
  /** Bytes that the body of a dispatch may have, whatever its verb. */
  dispatchBodyBytes: number;
}

/** What this broker says of itself. */
export interface Operations {
  metrics: Pick<Metrics, 'render'>;
  status(): Promise<BrokerStatus>;
}

/** A host as `GET /v1/streams` lists it. */
export interface HostListing {
  host_id: string;
  capabilities: readonly string[];
  builder_capacity: number;
  coold_version: string;
  schema_max: number;
  connected_at: string;
  builds: ReturnType<typeof buildPlaces>;
}

export interface Lane {
  listen(path: string): Promise<void>;
  /**
   * Lets every reply that is under way be written, for `graceMs` at the most, each with `connection: close`; then cuts
   * what is left. New connections are kept away by taking the socket's path away first.
   */
  stop(graceMs: number): Promise<void>;
}

const jsonType = 'application/json';
/** Connections that wait to be accepted; a burst of Laravel's workers is far below. */
const backlog = 4096;
/** A caller that takes nothing of its reply for this long is gone, in ms; an answer lands, a stream is cancelled. */
const defaultStalledReplyMs = 60_000;
/** A caller that sends its body slower than this, in ms, is not Laravel; input of a stream may take its time. */
const bodyTimeoutMs = 30_000;
/** An input call waits this long, in ms, for somebody to type; the next call takes over from it. */
const defaultInputIdleMs = 15 * 60_000;

/** Laravel's HTTP lane (docs/contract.md §2), not yet listening: JSON both ways, every failure in the one envelope. */
export function createLane(deps: LaneDeps): Lane {
  const { dispatch, openStream, streams, builds, hosts, operations, elsewhere, log, dispatchBodyBytes } =
    deps;
  const { stalledReplyMs = defaultStalledReplyMs, inputIdleMs = defaultInputIdleMs } = deps;
  const edge = createHttpEdge({
    errorBody: (code, message) => JSON.stringify(refuse({ requestId: '', code, message }).envelope),
    bodyTimeoutMs,
    stalledReplyMs,
  });
  let stopping = false;

  const lane: FastifyInstance = Fastify({
    bodyLimit: defaultBodyBytes,
    requestTimeout: 0,
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 5000 },
    keepAliveTimeout: 75_000,
    // While it stops, what still comes in is answered in our own envelope.
    return503OnClosing: false,
    routerOptions: { maxParamLength: 256 },
    frameworkErrors: ({ statusCode: code = 400, message }, _request, reply) => {
      const { envelope } = refuse({ requestId: '', code, message });
      const body = JSON.stringify(envelope);
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      reply.raw.writeHead(code, headers).end(body);
    },
    clientErrorHandler: edge.answerMalformed,
  });
  edge.watch(lane.server);
  const places: { methods: string[]; path: RegExp }[] = [];
  lane.addHook('onRoute', ({ method, url }) => {
    const methods = [method].flat().filter(name => name !== 'HEAD');
    places.push({ methods, path: new RegExp(`^${url.replaceAll(/:[^/]+/g, '[^/]+')}$`) });
  });
  lane.decorateRequest('bodyBytes', 0);
  lane.removeAllContentTypeParsers();
  lane.addContentTypeParser<Buffer>(
    jsonType,
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer) => {
      refuseEncoded(request.headers);
      request.bodyBytes = body.length;
      return body.length === 0 ? undefined : readJsonText(body);
    },
  );

  function answer(
    reply: FastifyReply,
    { status, envelope }: { status: number; envelope: object },
  ): FastifyReply {
    if (stopping) reply.header('connection', 'close');
    return reply.code(status).send(envelope);
  }

  lane.get('/v1/health', () => ({ ok: true }));

  lane.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await operations.metrics.render();
    return reply.header('content-type', contentType).send(text);
  });

  lane.get('/v1/status', operations.status);

  lane.get('/v1/streams', () =>
    hosts.list().map(
      (stream): HostListing => ({
        host_id: stream.hostId,
        capabilities: stream.capabilities,
        builder_capacity: stream.builderCapacity,
        coold_version: stream.cooldVersion,
        schema_max: stream.schemaMax,
        connected_at: stream.connectedAt.toISOString(),
        builds: buildPlaces(stream, builds.load(stream.hostId)),
      }),
    ),
  );

  // Not async: of the two promises that would cost, each dispatch has enough.
  lane.post('/v1/coold/dispatch', { bodyLimit: dispatchBodyBytes }, (request, reply) => {
    const dispatched = dispatch(request.body, request.bodyBytes);
    const { ticket, reply: replied } = dispatched;
    if (ticket !== undefined) {
      const { raw } = reply;
      raw.once('close', () => {
        if (raw.writableFinished) ticket.delivered();
        else ticket.undelivered();
      });
    }
    if (!(replied instanceof Promise)) return void answer(reply, replied);
    replied.then(
      concluded => answer(reply, concluded),
      (error: unknown) => reply.send(error),
    );
  });

  addStreamRoutes(lane, { openStream, streams, edge, answer, inputIdleMs });
  addBuildRoutes(lane, { builds, hosts, streams, elsewhere, log, answer, refusalOf });

  lane.setErrorHandler((error, request, reply) => {
    const refusal = refusalOf(error, request.routeOptions.bodyLimit);
    if (refusal.code >= 500)
      log.error({ err: error, method: request.method, url: request.url }, 'a request failed as none should');
    return answer(reply, refuse(refusal));
  });
  lane.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? '';
    const methods = places.flatMap(place => (place.path.test(path) ? place.methods : []));
    if (methods.length === 0)
      return answer(reply, refuse({ requestId: '', code: 404, message: 'no such path' }));
    reply.header('allow', methods.join(', '));
    return answer(reply, refuse({ requestId: '', code: 405, message: `expected ${methods.join(' or ')}` }));
  });
  return {
    listen: async path => void (await lane.listen({ path, backlog })),
    async stop(graceMs) {
      stopping = true;
      // Only when replies are out: closing a server destroys connections whose last bytes have not left yet.
      await edge.settled(graceMs);
      lane.server.closeAllConnections();
      await lane.close();
    },
  };
}

function refusalOf(error: unknown, bodyLimit = defaultBodyBytes): Refusal {
  const refused = (code: number, message: string, field?: string) => ({
    requestId: '',
    code,
    message,
    field,
  });
  if (error instanceof FieldError) return refused(400, error.message, error.field);
  if (error instanceof RefusedError) return refused(error.code, error.message);
  const { code, statusCode = 500 } = error as FastifyError;
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return refused(413, `body: expected at most ${bodyLimit} bytes`);
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return refused(415, `content-type: expected ${jsonType}`);
    default:
      return statusCode < 500 ? refused(statusCode, 'body: cannot be read') : refused(500, 'internal error');
  }
}
