import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { type Failure, failure, requestIdUnknown } from '@coold/errors';
import {
  encodeOutput,
  encodeStreamError,
  FieldError,
  readInputLines,
  StreamFrame_Source,
} from '@coold/proto';
import type { HttpEdge } from '@coold/runtime';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Reply, refuse, relay } from '../hosts/envelope.ts';
import { RefusedError, refuseEncoded } from '../hosts/refused-error.ts';
import type { OpenStream } from '../streams/open-stream.ts';
import { asLines, openingFor, pumpSession, type Rendering } from '../streams/pump-session.ts';
import type { Ending, Session } from '../streams/session.ts';
import { InputError } from '../streams/session-input.ts';
import type { Streams } from '../streams/streams.ts';
import { bodyChunks, IdleBodyError } from './body-chunks.ts';

export interface StreamLaneDeps {
  openStream: OpenStream;
  streams: Pick<Streams, 'get'>;
  edge: Pick<HttpEdge, 'leaveBody'>;
  answer(reply: FastifyReply, what: Reply): FastifyReply;
  /** An input call without input for this many ms ends; its stream goes on. */
  inputIdleMs: number;
}

/** The calls of a streamed command (docs/contract.md §2): `POST /v1/coold/stream`, and `…/:id/input` beside it. */
export function addStreamRoutes(lane: FastifyInstance, deps: StreamLaneDeps): void {
  const { openStream, answer } = deps;
  lane.post('/v1/coold/stream', async (request, reply) => {
    const asked = openStream(request.body);
    if ('reply' in asked) return answer(reply, asked.reply);
    const { requestId, session, lines } = asked;
    const { raw } = reply;
    const opening = await openingFor(raw, session);
    switch (opening.kind) {
      case 'refused': {
        const refusal = { requestId, ...opening.failure };
        return answer(reply, opening.by === 'host' ? relay(refusal) : refuse(refusal));
      }
      case 'opened':
        reply.hijack();
        writeStream(raw, requestId, session, lines);
        return reply;
    }
  });
  // In a scope of its own, because NDJSON is accepted nowhere else.
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
      ? new RefusedError('media_type', 'content-type: expected application/x-ndjson')
      : error;
  });
  scope.post<{ Params: { id: string } }>('/v1/coold/stream/:id/input', async (request, reply) => {
    const { params, body } = request;
    const requestId = params.id;
    const call = streams.get(requestId)?.input.begin() ?? requestIdUnknown;
    // The rest of the request is not read, and nothing else can follow on this connection.
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
  if (error instanceof FieldError) return failure('invalid_request', error.message, error.field);
  if (error instanceof IdleBodyError) return failure('body_too_slow', error.message);
  // The caller hung up, so there is nobody to answer.
  return failure('invalid_request', 'body: ended too soon');
}

/** Writes the reply of an open stream, from its first line to its last. */
function writeStream(response: ServerResponse, requestId: string, session: Session, lines: boolean): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.write(line({ request_id: requestId, status: 'ok' }));
  pumpSession(response, session, lines ? asLines() : asOutput);
}

const asOutput: Rendering = {
  output: ({ source, data }) =>
    line(encodeOutput(source === StreamFrame_Source.STDERR ? 'stderr' : 'stdout', data)),
  ending: lastLine,
};

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
