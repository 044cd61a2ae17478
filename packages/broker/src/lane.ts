import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from '@coold/runtime';
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify';
import { type Dispatch, type Reply, refuse } from './dispatch.ts';
import type { Hosts } from './hosts.ts';

export interface LaneDeps {
  dispatch: Dispatch;
  hosts: Hosts;
  log: Logger;
  stalledReplyMs?: number;
}

export interface Lane {
  listen(path: string): Promise<void>;
  /**
   * Lets every reply that is under way be written, for `graceMs` at the most, each with `connection: close`; then cuts
   * what is left. New connections are kept away by taking the socket's path away first.
   */
  stop(graceMs: number): Promise<void>;
}

/** Bodies above this are 413. */
const maxBodyBytes = 1024 * 1024;
/** Connections that wait to be accepted; a burst of Laravel's workers is far below. */
const backlog = 4096;
/** A caller that has not taken its reply by then is gone, in ms; its answer lands. */
const defaultStalledReplyMs = 30_000;

/** Laravel's HTTP lane (CONTRACT §2), not yet listening: JSON both ways, every failure in the one envelope. */
export function createLane({ dispatch, hosts, log, stalledReplyMs = defaultStalledReplyMs }: LaneDeps): Lane {
  /** Responses not yet written whole, with when they were answered. */
  const underWay = new Map<ServerResponse, number | undefined>();
  const idle = Promise.withResolvers<void>();
  let stopping = false;

  const lane: FastifyInstance = Fastify({
    bodyLimit: maxBodyBytes,
    // A caller that sends slower than this is not Laravel.
    requestTimeout: 30_000,
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
    clientErrorHandler: answerUnparsed,
  });

  // Beside fastify's own listener: it sees every response, also those that fastify refuses before its hooks.
  lane.server.on('request', (_request, response: ServerResponse) => {
    underWay.set(response, undefined);
    response.once('close', () => {
      underWay.delete(response);
      if (stopping && underWay.size === 0) idle.resolve();
    });
  });
  const stalled = setInterval(() => {
    const before = performance.now() - stalledReplyMs;
    for (const [response, answeredAt] of underWay)
      if (answeredAt !== undefined && answeredAt < before) response.destroy();
  }, stalledReplyMs / 4);

  function answer(reply: FastifyReply, { status, envelope }: Reply): FastifyReply {
    if (stopping) reply.header('connection', 'close');
    underWay.set(reply.raw, performance.now());
    return reply.code(status).send(envelope);
  }

  lane.get('/v1/health', () => ({ ok: true }));

  lane.get('/v1/streams', () =>
    hosts.list().map(stream => ({
      host_id: stream.hostId,
      capabilities: stream.capabilities,
      builder_capacity: stream.builderCapacity,
      coold_version: stream.cooldVersion,
      schema_max: stream.schemaMax,
      connected_at: stream.connectedAt.toISOString(),
    })),
  );

  lane.post('/v1/coold/dispatch', async (request, reply) => {
    const dispatched = dispatch(request.body);
    const { ticket } = dispatched;
    if (ticket !== undefined) {
      reply.raw.once('close', () => {
        if (reply.raw.writableFinished) ticket.delivered();
        else ticket.undelivered();
      });
    }
    return answer(reply, await dispatched.reply);
  });

  lane.setErrorHandler((error: FastifyError, request, reply) => {
    const code = error.statusCode ?? 500;
    if (code >= 500)
      log.error({ err: error, method: request.method, url: request.url }, 'a request failed as none should');
    return answer(reply, refuse({ requestId: '', code, message: messageOf(error) }));
  });
  lane.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? '';
    const methods = (['GET', 'POST'] as const).filter(method => lane.hasRoute({ method, url: path }));
    if (methods.length === 0)
      return answer(reply, refuse({ requestId: '', code: 404, message: 'no such path' }));
    reply.header('allow', methods.join(', '));
    return answer(reply, refuse({ requestId: '', code: 405, message: `expected ${methods.join(' or ')}` }));
  });
  return {
    listen: async path => void (await lane.listen({ path, backlog })),
    async stop(graceMs) {
      stopping = true;
      if (underWay.size === 0) idle.resolve();
      // Only when replies are out: closing a server destroys connections whose last bytes have not left yet.
      const timer = setTimeout(() => idle.resolve(), graceMs);
      await idle.promise;
      clearTimeout(timer);
      clearInterval(stalled);
      lane.server.closeAllConnections();
      await lane.close();
    },
  };
}

/** What Node's parser refuses never becomes a request: the same envelope, written by hand. */
function answerUnparsed(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
  const [code, reason] = statusOfParser(error.code);
  const body = JSON.stringify(refuse({ requestId: '', code, message: reason }).envelope);
  const head = `HTTP/1.1 ${code} ${reason}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}`;
  socket.end(`${head}\r\nconnection: close\r\n\r\n${body}`);
}

function statusOfParser(code: string | undefined): [number, string] {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return [431, 'headers too large'];
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return [408, 'request timeout'];
    default:
      return [400, 'not an HTTP request'];
  }
}

function messageOf(error: FastifyError): string {
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return `body: expected at most ${maxBodyBytes} bytes`;
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return 'content-type: expected application/json';
    default:
      return (error.statusCode ?? 500) < 500 ? `body: ${error.message}` : 'internal error';
  }
}
