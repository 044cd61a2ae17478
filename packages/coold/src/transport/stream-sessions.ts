import { create, type Message } from '@bufbuild/protobuf';
import { asVerbError, VerbError } from '@coold/errors';
import {
  maxStreamChunkBytes,
  type Response,
  ResponseSchema,
  requestIdOf,
  StreamFrame_Source,
  type StreamInput,
} from '@coold/proto';
import type { Logger, SampledWarn } from '@coold/runtime';
import type { StreamForm } from '../handler.ts';
import { errorMessage } from '../link/failure-frame.ts';
import { createInput, type InputQueue } from '../stream-input.ts';
import { callerLeft, type RecordCall } from '../verbs/calls.ts';
import { type Credit, createCredit } from './credit.ts';
import type { Streams } from './streams.ts';

/** The streamed calls on one stream to the broker, by their ids (streaming.proto). */
export interface Sessions {
  has(requestId: string): boolean;
  /** Runs a call from its opening to its end, whose frame it sends. Never rejects. */
  serve(call: StreamedCall): Promise<void>;
  input(requestId: string, input: StreamInput): void;
  credit(requestId: string, bytes: bigint): void;
  cancel(requestId: string): void;
}

export interface StreamedCall {
  requestId: string;
  verb: string;
  form: StreamForm;
  request: Message;
  /** The bytes that the broker may be sent before it grants more. */
  credit: bigint;
}

export interface SessionOptions {
  /** Resolves once the connection has taken it. */
  send(response: Response): Promise<void>;
  /** Aborts with the stream to the broker. */
  gone: AbortSignal;
  streams: Streams;
  record: RecordCall;
  log: Logger;
  /** Logs what is ignored. */
  ignored: SampledWarn;
}

/** Bytes of stdin that may wait per session. */
const inputWindow = 256 * 1024;

export function createSessions(options: SessionOptions): Sessions {
  const { log, ignored } = options;
  const open = new Map<string, Session>();
  const ignore = (requestId: string, what: string) =>
    ignored({ request_id: requestId.slice(0, 128) }, `${what} for a stream that is not open; ignored`);
  return {
    has: requestId => open.has(requestId),
    async serve(call) {
      const session = new Session(call, options);
      open.set(call.requestId, session);
      const answer = await session.run();
      if (open.get(call.requestId) === session) open.delete(call.requestId);
      await answer();
    },
    input(requestId, input) {
      const session = open.get(requestId);
      if (session === undefined) return ignore(requestId, 'input');
      try {
        session.input.push(input);
      } catch (error) {
        session.end(asVerbError(error, 'stream_input', log));
      }
    },
    credit(requestId, bytes) {
      const session = open.get(requestId);
      if (session === undefined) ignore(requestId, 'credit');
      else session.credit.grant(bytes);
    },
    cancel(requestId) {
      const session = open.get(requestId);
      // It may have ended just now.
      if (session === undefined) return;
      // The id is free again at once, although the source of the stream may take a moment to stop.
      open.delete(requestId);
      session.end(new VerbError('caller_left', 'cancelled'));
    },
  };
}

/** How a session ended. `body` is that of its last frame. */
interface SessionEnd {
  status: number;
  body: Response['body'];
}

/** One streamed call, from its opening to its end. */
class Session {
  readonly #call: StreamedCall;
  readonly #options: SessionOptions;
  /** Bytes of stdin that may be on their way to coold. */
  readonly #window: number;
  readonly #ended = new AbortController();
  readonly credit: Credit;
  readonly input: InputQueue;

  constructor(call: StreamedCall, options: SessionOptions) {
    this.#call = call;
    this.#options = options;
    this.#window = call.form.takesInput ? inputWindow : 0;
    this.credit = createCredit(call.credit);
    const grant = gather(inputWindow / 4, bytes => {
      void this.#reply(bodyOf('streamCredit', { bytes: BigInt(bytes) }));
    });
    this.input = createInput(this.#window, grant);
  }

  /** Ends the call. @param reason for its caller */
  end(reason: VerbError): void {
    this.#ended.abort(reason);
  }

  /** Runs the call to its end. Never rejects. @returns a function that records the call and sends its last frame */
  async run(): Promise<() => Promise<void>> {
    const started = performance.now();
    const { status, body } = await this.#outcome();
    this.input.close();
    return async () => {
      this.#options.record({
        requestId: requestIdOf(this.#call.requestId),
        verb: this.#call.verb,
        transport: 'stream',
        status,
        durationMs: performance.now() - started,
      });
      // A caller that left gets no answer.
      if (status !== callerLeft) await this.#reply(body);
    };
  }

  async #outcome(): Promise<SessionEnd> {
    const { form, request, verb } = this.#call;
    const { gone, streams, log } = this.#options;
    const caller = AbortSignal.any([gone, this.#ended.signal]);
    try {
      const { exitCode } = await streams.run(
        caller,
        signal =>
          form.run(request, {
            opened: () => this.#reply(bodyOf('streamOpened', { credit: BigInt(this.#window) })),
            write: frame => this.#write(frame.stream, frame.data, signal),
            stdin: this.input.stdin,
            resizes: this.input.resizes,
            signal,
          }),
        form.isLight === true ? 'light' : 'usual',
      );
      caller.throwIfAborted();
      return { status: 200, body: bodyOf('streamEnd', exitCode === undefined ? {} : { exitCode }) };
    } catch (error) {
      const { signal } = this.#ended;
      const cause: unknown = signal.aborted ? signal.reason : error;
      const why = gone.aborted
        ? new VerbError('caller_left', 'the stream to the broker is gone')
        : asVerbError(cause, verb, log);
      return { status: why.code, body: { case: 'error', value: errorMessage(why) } };
    }
  }

  /** Writes output in frames, as the broker grants credit. */
  async #write(stream: 'stdout' | 'stderr', data: Buffer, signal: AbortSignal): Promise<void> {
    const source = stream === 'stdout' ? StreamFrame_Source.STDOUT : StreamFrame_Source.STDERR;
    for (let rest = data; rest.length > 0; ) {
      const size = await this.credit.spend(rest, maxStreamChunkBytes, signal);
      await this.#reply(bodyOf('streamFrame', { source, data: rest.subarray(0, size) }));
      rest = rest.subarray(size);
    }
    signal.throwIfAborted();
  }

  #reply(body: Response['body']): Promise<void> {
    return this.#options.send(create(ResponseSchema, { requestId: this.#call.requestId, body }));
  }
}

function bodyOf<Case extends NonNullable<Response['body']['case']>>(
  name: Case,
  value: Record<string, unknown>,
): Response['body'] {
  return { case: name, value } as unknown as Response['body'];
}

/** Collects grants until they are worth a message. A smaller rest waits for the next one. */
function gather(least: number, grant: (bytes: number) => void): (bytes: number) => void {
  let owed = 0;
  return bytes => {
    owed += bytes;
    if (owed < least) return;
    grant(owed);
    owed = 0;
  };
}
