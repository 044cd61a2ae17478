import { create, type Message } from '@bufbuild/protobuf';
import { asVerbError, failure, type Reason, VerbError } from '@coold/errors';
import { maxResponseBytes, type Response, ResponseSchema, type ServerMsg } from '@coold/proto';
import { createSampledWarn, type Logger } from '@coold/runtime';
import type { Builds } from '../builds/builds.ts';
import { serveBuilds } from '../builds/serve-builds.ts';
import { failureFrame, failureResponse, frame } from '../link/failure-frame.ts';
import type { RecordCall } from '../verbs/calls.ts';
import type { Served } from '../verbs/surface.ts';
import { createSessions, type Sessions } from './stream-sessions.ts';
import type { Streams } from './streams.ts';

/** A stream to the broker, for the code that serves its commands. */
export interface StreamLink {
  /** Resolves once the connection has taken the frame, or is gone. */
  send(frame: Buffer): Promise<void>;
  /** Aborts when the stream is gone. */
  gone: AbortSignal;
}

/** Takes the commands of one stream in order. Resolves when the command is done and answered. Never rejects. */
export type TakeCommand = (message: ServerMsg) => Promise<void>;
export type ServeCommands = (link: StreamLink) => TakeCommand;

export interface CommandOptions {
  surface: ReadonlyMap<string, Served>;
  streams: Streams;
  /** Present on a host that builds. */
  builds?: Builds | undefined;
  record: RecordCall;
  log: Logger;
  /**
   * The most concurrent commands. Streamed ones count separately, because their input and credit follow on the same
   * connection.
   */
  maxCommands?: number;
}

const defaultMaxCommands = 1024;
const done = Promise.resolve();

/** Returns a function that serves the commands of a stream to the broker. */
export function createServeCommands(options: CommandOptions): ServeCommands {
  return link => {
    const commands = new StreamCommands(options, link);
    return message => commands.take(message);
  };
}

/** The commands of one stream to the broker. */
class StreamCommands {
  readonly #options: CommandOptions;
  readonly #link: StreamLink;
  readonly #sessions: Sessions;
  readonly #build: ReturnType<typeof serveBuilds> | undefined;
  readonly #maxCommands: number;
  #atWork = 0;

  constructor(options: CommandOptions, link: StreamLink) {
    const { streams, builds, record, log, maxCommands = defaultMaxCommands } = options;
    const { gone } = link;
    const send = (response: Response) => link.send(frame(response));
    this.#options = options;
    this.#link = link;
    this.#maxCommands = maxCommands;
    this.#sessions = createSessions({ send, gone, streams, record, log, ignored: createSampledWarn(log) });
    this.#build = builds === undefined ? undefined : serveBuilds(builds, { send, gone, log });
  }

  /** Not async, so that a command costs no more promises than its answer. */
  take(message: ServerMsg): Promise<void> {
    const { requestId, command } = message;
    switch (command.case) {
      case undefined:
        // docs/contract.md §1: never fatal. A newer broker of the same schema sent it, and its caller gets an answer.
        this.#options.log.warn({ request_id: requestId }, 'command of a kind this coold does not know');
        return this.#refuse(
          requestId,
          'host_too_old',
          'this coold does not know that command: it is older than the broker',
        );
      case 'streamInput':
        this.#sessions.input(requestId, command.value);
        return done;
      case 'streamCredit':
        this.#sessions.credit(requestId, command.value.bytes);
        return done;
      case 'streamCancel':
        this.#sessions.cancel(requestId);
        return done;
      case 'build':
      case 'cancelBuild':
      case 'buildAck':
      case 'buildResult':
        if (this.#build !== undefined) return this.#build(requestId, command);
        return this.#refuse(
          requestId,
          'not_configured',
          'this host does not build: COOLD_BUILDER_ENABLED is not set',
        );
      case 'buildEvents':
        return this.#streamBuildEvents(message, command.value);
      default:
        return this.#serveVerb(message, command.case);
    }
  }

  #streamBuildEvents({ requestId, stream }: ServerMsg, request: Message): Promise<void> {
    const { builds } = this.#options;
    if (builds === undefined) return this.#refuse(requestId, 'request_id_unknown', 'no such build here');
    if (this.#sessions.has(requestId)) return this.#refuseOpen(requestId);
    if (stream === undefined)
      return this.#refuse(requestId, 'invalid_request', 'stream: expected its options', 'stream');
    const { credit } = stream;
    return this.#sessions.serve({ requestId, verb: 'build_events', form: builds.events, request, credit });
  }

  async #serveVerb(message: ServerMsg, commandCase: string): Promise<void> {
    const { requestId, command, stream } = message;
    const served = this.#options.surface.get(commandCase);
    if (served === undefined)
      return this.#refuse(requestId, 'host_too_old', `this coold does not serve ${commandCase}`);
    if (this.#sessions.has(requestId)) return this.#refuseOpen(requestId);
    const { verb, handler } = served;
    if (stream !== undefined) {
      const { stream: form } = handler;
      if (form === undefined || command.value === undefined)
        return this.#refuse(
          requestId,
          'invalid_request',
          `stream: ${verb.name} has no streamed answer`,
          'stream',
        );
      const { credit } = stream;
      return this.#sessions.serve({ requestId, verb: verb.name, form, request: command.value, credit });
    }
    const max = this.#maxCommands;
    if (this.#atWork >= max)
      return this.#refuse(requestId, 'host_busy', `this host has ${max} commands at work already`);
    this.#atWork += 1;
    try {
      await this.#answer(served, requestId, command);
    } finally {
      this.#atWork -= 1;
    }
  }

  async #answer(served: Served, requestId: string, command: ServerMsg['command']): Promise<void> {
    const { record, log } = this.#options;
    const { gone } = this.#link;
    const started = performance.now();
    const { bytes, status } = await respond(served, requestId, command, gone, log);
    const { name: verb } = served.verb;
    record({ requestId, verb, transport: 'stream', status, durationMs: performance.now() - started });
    if (!gone.aborted) return this.#link.send(bytes);
    log.warn({ request_id: requestId }, 'the stream ended before this answer; it is lost');
  }

  #refuseOpen(requestId: string): Promise<void> {
    return this.#refuse(requestId, 'request_id_in_flight', 'request_id is that of an open stream');
  }

  #refuse(requestId: string, reason: Reason, message: string, field?: string): Promise<void> {
    return this.#link.send(frame(failureResponse(requestId, failure(reason, message, field))));
  }
}

/** Runs a command and returns the frame that answers it. */
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
      throw new VerbError(
        'answer_too_large',
        `answer of ${bytes.length} bytes is over the limit of ${maxResponseBytes}`,
      );
    return { bytes, status: 200 };
  } catch (error) {
    const failed = asVerbError(error, verb.name, log);
    return { bytes: failureFrame(requestId, failed), status: failed.code };
  }
}
