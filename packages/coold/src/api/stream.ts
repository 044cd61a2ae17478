import { create, toBinary } from '@bufbuild/protobuf';
import {
  ClientMsgSchema,
  type ErrorSchema,
  maxResponseBytes,
  type Response,
  ResponseSchema,
  type ServerMsg,
} from '@coold/proto';
import { createTally, type Logger } from '@coold/runtime';
import type { Builds } from '../builds/builds.ts';
import { serveBuilds } from '../builds/serve-builds.ts';
import type { RecordCall } from './calls.ts';
import { createSessions } from './stream-sessions.ts';
import type { Streams } from './streams.ts';
import type { Served } from './surface.ts';
import { asVerbError, VerbError } from './verb-error.ts';

/** One stream to the broker, as what serves its commands has it. */
export interface StreamLink {
  /** Resolves once the connection took the frame, or is gone. */
  send(frame: Buffer): Promise<void>;
  /** Aborts when the stream is gone. */
  gone: AbortSignal;
}

/** Takes the commands of one stream, in order; resolves when that command is done and answered. Never rejects. */
export type TakeCommand = (message: ServerMsg) => Promise<void>;
export type ServeCommands = (link: StreamLink) => TakeCommand;

export interface CommandOptions {
  surface: ReadonlyMap<string, Served>;
  streams: Streams;
  /** Of a host that builds. */
  builds?: Builds | undefined;
  record: RecordCall;
  log: Logger;
  /** Commands at work at once, streamed ones apart: input and credit of streams come behind them on the same wire. */
  maxCommands?: number;
}

const defaultMaxCommands = 1024;

export function createServeCommands(options: CommandOptions): ServeCommands {
  const { surface, streams, builds, record, log, maxCommands = defaultMaxCommands } = options;
  return link => {
    const ignored = createTally(log);
    const send = (response: Response) => link.send(frame(response));
    const sessions = createSessions({ send, gone: link.gone, streams, record, log, ignored });
    const build = builds === undefined ? undefined : serveBuilds(builds, { send, gone: link.gone, log });
    let atWork = 0;

    const refuse = (requestId: string, code: number, message: string, field = '') =>
      send(failure(requestId, code, message, field));

    async function answer(served: Served, requestId: string, command: ServerMsg['command']): Promise<void> {
      const started = performance.now();
      const { bytes, status } = await respond(served, requestId, command, link.gone, log);
      const { name: verb } = served.verb;
      record({ requestId, verb, transport: 'stream', status, durationMs: performance.now() - started });
      if (!link.gone.aborted) return link.send(bytes);
      log.warn({ request_id: requestId }, 'the stream ended before this answer; it is lost');
    }

    return async ({ requestId, command, stream }) => {
      switch (command.case) {
        case undefined:
          // docs/contract.md §1: never fatal. A broker newer than us within one schema sends it; its caller need not
          // wait in vain.
          log.warn({ request_id: requestId }, 'command of a kind this coold does not know');
          return refuse(requestId, 501, 'this coold does not know that command: it is older than the broker');
        case 'streamInput':
          return sessions.input(requestId, command.value);
        case 'streamCredit':
          return sessions.credit(requestId, command.value.bytes);
        case 'streamCancel':
          return sessions.cancel(requestId);
        case 'build':
        case 'cancelBuild':
        case 'buildAck':
        case 'buildResult':
          if (build !== undefined) return build(requestId, command);
          return refuse(requestId, 501, 'this host does not build: COOLD_BUILDER_ENABLED is not set');
        case 'buildEvents': {
          if (builds === undefined) return refuse(requestId, 404, 'no such build here');
          if (sessions.has(requestId)) return refuse(requestId, 409, 'request_id is that of an open stream');
          if (stream === undefined) return refuse(requestId, 400, 'stream: expected its options', 'stream');
          const { credit } = stream;
          return sessions.serve({
            requestId,
            verb: 'build_events',
            form: builds.events,
            request: command.value,
            credit,
          });
        }
        default:
      }
      const served = surface.get(command.case);
      if (served === undefined) return refuse(requestId, 501, `this coold does not serve ${command.case}`);
      if (sessions.has(requestId)) return refuse(requestId, 409, 'request_id is that of an open stream');
      const { verb, handler } = served;
      if (stream !== undefined) {
        const { stream: form } = handler;
        if (form === undefined)
          return refuse(requestId, 400, `stream: ${verb.name} has no streamed answer`, 'stream');
        return sessions.serve({
          requestId,
          verb: verb.name,
          form,
          request: command.value,
          credit: stream.credit,
        });
      }
      if (atWork >= maxCommands)
        return refuse(requestId, 503, `this host has ${maxCommands} commands at work already`);
      atWork += 1;
      try {
        await answer(served, requestId, command);
      } finally {
        atWork -= 1;
      }
    };
  };
}

/** Runs a command to the frame that answers it. */
async function respond(
  { verb, handler }: Served,
  requestId: string,
  command: ServerMsg['command'],
  signal: AbortSignal,
  log: Logger,
): Promise<{ bytes: Buffer; status: number }> {
  try {
    if (command.value === undefined) throw new Error('a command without its message');
    const answer = await handler.run(command.value, signal);
    const body = { case: verb.commandCase, value: answer } as Response['body'];
    const bytes = frame(create(ResponseSchema, { requestId, body }));
    if (bytes.length > maxResponseBytes)
      throw new VerbError(413, `answer of ${bytes.length} bytes is over the limit of ${maxResponseBytes}`);
    return { bytes, status: 200 };
  } catch (error) {
    const { code, message, field } = asVerbError(error, verb.name, log);
    return { bytes: frame(failure(requestId, code, message, field)), status: code };
  }
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
