import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import {
  encodeOutput,
  encodeStreamError,
  FieldError,
  readInputLines,
  StreamFrame_Source,
} from '@coold/proto';
import type { HttpEdge } from '@coold/runtime';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { bodyChunks, IdleBodyError } from './body-chunks.ts';
import { type Reply, refuse, relay } from './envelope.ts';
import type { OpenStream } from './open-stream.ts';
import { openingFor, pumpSession } from './pump-session.ts';
import { RefusedError, refuseEncoded } from './refused-error.ts';
import type { Ending, Session } from './session.ts';
import { type Failure, InputError } from './session-input.ts';
import type { Streams } from './streams.ts';

export interface StreamLaneDeps {
  openStream: OpenStream;
  streams: Pick<Streams, 'get'>;
  edge: Pick<HttpEdge, 'leaveBody'>;
  answer(reply: FastifyReply, what: Reply): FastifyReply;
  /** An input call that brings nothing for so many ms ends; its stream goes on. */
  inputIdleMs: number;
}

/** The calls of a streamed command (docs/contract.md §2): `POST /v1/coold/stream`, and `…/:id/input` beside it. */
export function addStreamRoutes(lane: FastifyInstance, deps: StreamLaneDeps): void {
  const { openStream, answer } = deps;
  lane.post('/v1/coold/stream', async (request, reply) => {
    const asked = openStream(request.body);
    if ('reply' in asked) return answer(reply, asked.reply);
    const { requestId, session } = asked;
    const { raw } = reply;
    const opening = await openingFor(raw, session);
    switch (opening.kind) {
      case 'refused': {
        const refusal = { requestId, ...opening.failure };
        return answer(reply, opening.by === 'host' ? relay(refusal) : refuse(refusal));
      }
      case 'opened':
        reply.hijack();
        writeStream(raw, requestId, session);
        return reply;
    }
  });
  // In a scope of its own: elsewhere NDJSON is no body.
  lane.register(async scope => addInputRoute(scope, deps));
}

function addInputRoute(scope: FastifyInstance, deps: StreamLaneDeps): void {
  const { streams, edge, answer, inputIdleMs } = deps;
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(
    ['application/x-ndjson', 'application/json'],
    async ({ headers }: FastifyRequest, body: Readable) => {
      refuseEncoded(headers);
      return body;
    },
  );
  scope.setErrorHandler(error => {
    const { code } = error as FastifyError;
    throw code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE'
      ? new RefusedError(415, 'content-type: expected application/x-ndjson')
      : error;
  });
  scope.post<{ Params: { id: string } }>('/v1/coold/stream/:id/input', async (request, reply) => {
    const { params, body } = request;
    const requestId = params.id;
    const call = streams.get(requestId)?.input.begin() ?? { code: 404, message: 'unknown request_id' };
    // What else its caller has to say is not read, and nothing else could be heard on this connection.
    const refused = (failure: Failure) =>
      answer(reply.header('connection', 'close'), refuse({ requestId, ...failure }));
    if ('code' in call) return refused(call);
    edge.leaveBody(request.raw);
    reply.raw.once('close', () => call.end());
    try {
      if (body instanceof Readable)
        for await (const input of readInputLines(bodyChunks(body, inputIdleMs))) await call.send(input);
      call.end();
      return reply.code(204).send();
    } catch (error) {
      call.end();
      return refused(inputFailure(error));
    }
  });
}

function inputFailure(error: unknown): Failure {
  if (error instanceof InputError) return error.failure;
  if (error instanceof FieldError) return { code: 400, message: error.message, field: error.field };
  if (error instanceof IdleBodyError) return { code: 408, message: error.message };
  // The caller hung up, and nobody is there to read it.
  return { code: 400, message: 'body: ended too soon' };
}

/** The reply of an open stream, from its first line to its last. */
function writeStream(response: ServerResponse, requestId: string, session: Session): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.write(line({ request_id: requestId, status: 'ok' }));
  pumpSession(response, session, {
    output: ({ source, data }) =>
      line(encodeOutput(source === StreamFrame_Source.STDERR ? 'stderr' : 'stdout', data)),
    ending: lastLine,
  });
}

function lastLine(ending: Ending): string {
  switch (ending.kind) {
    case 'ended':
      return ending.exitCode === undefined ? '' : line({ exit_code: ending.exitCode });
    case 'failed':
      return line(encodeStreamError(ending.failure));
  }
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
