import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify';
import { type Dispatch, type Reply, refuse } from './dispatch.ts';
import type { Hosts } from './hosts.ts';

export interface LaneDeps {
  dispatch: Dispatch;
  hosts: Hosts;
}

/** Bodies above this are 413. */
const maxBodyBytes = 1024 * 1024;

/** Laravel's HTTP lane (CONTRACT §2), not yet listening: JSON both ways, every failure in the one envelope. */
export function createLane({ dispatch, hosts }: LaneDeps): FastifyInstance {
  const lane = Fastify({
    bodyLimit: maxBodyBytes,
    // A caller that sends slower than this is not Laravel.
    requestTimeout: 30_000,
    keepAliveTimeout: 75_000,
    // While it stops, what still comes in is answered in our own envelope.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 256 },
  });

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

  lane.setErrorHandler((error: FastifyError, _request, reply) => {
    const code = error.statusCode ?? 500;
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
  return lane;
}

function answer(reply: FastifyReply, { status, envelope }: Reply): FastifyReply {
  return reply.code(status).send(envelope);
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
