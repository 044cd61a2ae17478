import { create, toBinary } from '@bufbuild/protobuf';
import {
  ClientMsgSchema,
  type ErrorSchema,
  maxResponseBytes,
  type Response,
  ResponseSchema,
  type ServerMsg,
} from '@coold/proto';
import type { Logger } from '@coold/runtime';
import type { RecordCall } from './calls.ts';
import type { Served } from './surface.ts';
import { asVerbError, VerbError } from './verb-error.ts';

/** Runs one command of the stream and returns the frame that answers it. Never rejects. */
export type AnswerCommand = (message: ServerMsg, signal: AbortSignal) => Promise<Buffer>;

export function createAnswerCommand(
  surface: ReadonlyMap<string, Served>,
  record: RecordCall,
  log: Logger,
): AnswerCommand {
  return async ({ requestId, command }, signal) => {
    if (command.case === undefined) {
      // CONTRACT §1: never fatal. A broker newer than us within one schema sends it; its caller need not wait in vain.
      log.warn({ request_id: requestId }, 'command of a kind this coold does not know');
      return frame(
        failure(requestId, 501, 'this coold does not know that command: it is older than the broker'),
      );
    }
    const served = surface.get(command.case);
    if (served === undefined)
      return frame(failure(requestId, 501, `this coold does not serve ${command.case}`));
    const { verb, handler } = served;
    const started = performance.now();
    const done = (status: number) =>
      record({
        requestId,
        verb: verb.name,
        transport: 'stream',
        status,
        durationMs: performance.now() - started,
      });
    try {
      const answer = await handler.run(command.value, signal);
      const body = { case: verb.commandCase, value: answer } as Response['body'];
      const bytes = frame(create(ResponseSchema, { requestId, body }));
      if (bytes.length > maxResponseBytes)
        throw new VerbError(413, `answer of ${bytes.length} bytes is over the limit of ${maxResponseBytes}`);
      done(200);
      return bytes;
    } catch (error) {
      const { code, message, field } = asVerbError(error, verb.name, log);
      done(code);
      return frame(failure(requestId, code, message, field));
    }
  };
}

function failure(requestId: string, code: number, message: string, field = ''): Response {
  const value = { code, message, field } satisfies Partial<
    Record<keyof (typeof ErrorSchema)['field'], unknown>
  >;
  return create(ResponseSchema, { requestId, body: { case: 'error', value } });
}

function frame(response: Response): Buffer {
  return Buffer.from(
    toBinary(ClientMsgSchema, create(ClientMsgSchema, { payload: { case: 'response', value: response } })),
  );
}
