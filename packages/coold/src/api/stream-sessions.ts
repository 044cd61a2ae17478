import { create, type Message } from '@bufbuild/protobuf';
import {
  maxStreamChunkBytes,
  type Response,
  ResponseSchema,
  requestIdOf,
  StreamFrame_Source,
  type StreamInput,
} from '@coold/proto';
import type { Logger, Tally } from '@coold/runtime';
import { callerLeft, type RecordCall } from './calls.ts';
import { createCredit } from './credit.ts';
import type { StreamForm } from './handler.ts';
import { createInput, type InputQueue } from './stream-input.ts';
import type { Streams } from './streams.ts';
import { asVerbError, VerbError } from './verb-error.ts';

/** The streamed calls of one stream to the broker, by their names (streaming.proto). */
export interface Sessions {
  has(requestId: string): boolean;
  /** From its opening to its end, whose frame it sends. Never rejects. */
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
  /** What the broker has leave to be sent before it grants more, in bytes. */
  credit: bigint;
}

export interface SessionOptions {
  /** Resolves once the connection took it. */
  send(response: Response): Promise<void>;
  /** Aborts with the stream to the broker. */
  gone: AbortSignal;
  streams: Streams;
  record: RecordCall;
  log: Logger;
  /** For what is ignored. */
  ignored: Tally;
}

/** Stdin that may wait in coold, a session, in bytes. */
const inputWindow = 256 * 1024;

interface Session {
  credit: ReturnType<typeof createCredit>;
  input: InputQueue;
  end: AbortController;
}

export function createSessions(options: SessionOptions): Sessions {
  const { send, gone, streams, record, log, ignored } = options;
  const open = new Map<string, Session>();

  const ignore = (requestId: string, what: string) =>
    ignored({ request_id: requestId.slice(0, 128) }, `${what} for a stream that is not open; ignored`);

  async function serve({ requestId, verb, form, request, credit: initial }: StreamedCall): Promise<void> {
    const reply = (body: Response['body']) => send(create(ResponseSchema, { requestId, body }));
    const grant = gather(inputWindow / 4, bytes => {
      void reply(bodyOf('streamCredit', { bytes: BigInt(bytes) }));
    });
    const window = form.takesInput ? inputWindow : 0;
    const session: Session = {
      credit: createCredit(initial),
      input: createInput(window, grant),
      end: new AbortController(),
    };
    open.set(requestId, session);
    const started = performance.now();
    const caller = AbortSignal.any([gone, session.end.signal]);
    let last: Response['body'] | undefined;
    let status = 200;
    try {
      const { exitCode } = await streams.run(caller, signal =>
        form.run(request, {
          opened: () => reply(bodyOf('streamOpened', { credit: BigInt(window) })),
          write: frame => write(frame.stream, frame.data, session.credit, signal),
          stdin: session.input.stdin,
          resizes: session.input.resizes,
          signal,
        }),
      );
      caller.throwIfAborted();
      last = bodyOf('streamEnd', exitCode === undefined ? {} : { exitCode });
    } catch (error) {
      const reason: unknown = session.end.signal.aborted ? session.end.signal.reason : error;
      const {
        code,
        message,
        field = '',
      } = gone.aborted
        ? new VerbError(callerLeft, 'the stream to the broker is gone')
        : asVerbError(reason, verb, log);
      status = code;
      last = bodyOf('error', { code, message, field });
    }
    session.input.close();
    if (open.get(requestId) === session) open.delete(requestId);
    record({
      requestId: requestIdOf(requestId),
      ...{ verb, transport: 'stream', status, durationMs: performance.now() - started },
    });
    // A caller that left is answered nothing.
    if (status !== callerLeft) await reply(last);

    async function write(
      stream: 'stdout' | 'stderr',
      data: Buffer,
      credit: Session['credit'],
      signal: AbortSignal,
    ): Promise<void> {
      const source = stream === 'stdout' ? StreamFrame_Source.STDOUT : StreamFrame_Source.STDERR;
      for (let rest = data; rest.length > 0; ) {
        const size = await credit.spend(rest, maxStreamChunkBytes, signal);
        await reply(bodyOf('streamFrame', { source, data: rest.subarray(0, size) }));
        rest = rest.subarray(size);
      }
      signal.throwIfAborted();
    }
  }

  /** The name is free again at once, though what fed the stream may take a moment to stop. */
  function end(requestId: string, session: Session, reason: VerbError): void {
    open.delete(requestId);
    session.end.abort(reason);
  }

  return {
    has: requestId => open.has(requestId),
    serve,
    input(requestId, input) {
      const session = open.get(requestId);
      if (session === undefined) return ignore(requestId, 'input');
      try {
        session.input.push(input);
      } catch (error) {
        session.end.abort(asVerbError(error, 'stream_input', log));
      }
    },
    credit(requestId, bytes) {
      const session = open.get(requestId);
      if (session === undefined) ignore(requestId, 'credit');
      else session.credit.grant(bytes);
    },
    cancel(requestId) {
      const session = open.get(requestId);
      // It may have ended by itself just now.
      if (session !== undefined) end(requestId, session, new VerbError(callerLeft, 'cancelled'));
    },
  };
}

function bodyOf<Case extends NonNullable<Response['body']['case']>>(
  name: Case,
  value: Record<string, unknown>,
): Response['body'] {
  return { case: name, value } as unknown as Response['body'];
}

/** Grants in parts that are worth a message, for all but the last of which nobody waits. */
function gather(least: number, grant: (bytes: number) => void): (bytes: number) => void {
  let owed = 0;
  return bytes => {
    owed += bytes;
    if (owed < least) return;
    grant(owed);
    owed = 0;
  };
}
