import type { ServerResponse } from 'node:http';
import type { Message } from '@bufbuild/protobuf';
import { encodeOutput, encodeStreamError, maxStreamChunkBytes, readInputLines } from '@coold/proto';
import type { Logger } from '@coold/runtime';
import { callerLeft } from './calls.ts';
import type { OpenInputs } from './exec-inputs.ts';
import type { StreamForm } from './handler.ts';
import { createInput } from './stream-input.ts';
import type { Streams } from './streams.ts';
import { asVerbError, VerbError } from './verb-error.ts';

export const ndjsonType = 'application/x-ndjson';

export interface RestStreamCall {
  verb: string;
  form: StreamForm;
  request: Message;
  requestId: string;
  /** The path it was called on, its parameters filled in. */
  path: string;
  response: ServerResponse;
}

export interface RestStreamOptions {
  streams: Streams;
  inputs: OpenInputs;
  log: Logger;
}

/**
 * Answers a call with NDJSON as it comes about (docs/contract.md §3): frames, then the exit code of a program; an error
 * after the beginning is the last line. Nothing is written before the handler has opened the stream.
 *
 * @returns the status to put down for it @throws VerbError for what belongs into an answer of the usual kind
 */
export async function answerStream(call: RestStreamCall, options: RestStreamOptions): Promise<number> {
  const { verb, form, request, requestId, path, response } = call;
  const { streams, inputs, log } = options;
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  // A chunk at a time: who brings the input waits until it was taken.
  const input = createInput(form.takesInput ? maxStreamChunkBytes : 0);
  using _open = form.takesInput ? inputs.add(requestId, path, input) : undefined;
  let opened = false;
  const writeLine = (line: object) => write(response, `${JSON.stringify(line)}\n`);
  try {
    const { exitCode } = await streams.run(gone.signal, signal =>
      form.run(request, {
        opened: async () => {
          opened = true;
          response.writeHead(200, {
            'content-type': ndjsonType,
            'x-request-id': requestId,
            ...(form.takesInput ? { 'x-exec-session': requestId } : {}),
          });
          response.flushHeaders();
        },
        write: async ({ stream, data }) => {
          await writeLine(encodeOutput(stream, data));
          signal.throwIfAborted();
        },
        stdin: input.stdin,
        resizes: input.resizes,
        signal,
      }),
    );
    if (exitCode !== undefined) await writeLine({ exit_code: exitCode });
    response.end();
    return 200;
  } catch (error) {
    if (gone.signal.aborted) return callerLeft;
    const failure = asVerbError(error, verb, log);
    if (!opened) throw failure;
    await writeLine(encodeStreamError(failure));
    response.end();
    return failure.code;
  } finally {
    input.close();
  }
}

/** Resolves when there is room for more, or nobody is left to read it. */
function write(response: ServerResponse, text: string): Promise<void> {
  if (response.destroyed || response.write(text)) return Promise.resolve();
  return new Promise(resolve => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.once('drain', done).once('close', done);
  });
}

/**
 * Brings the lines of a body to a call that takes input, as fast as it takes them; resolves when it has taken all.
 *
 * @throws VerbError 404 or 409 before anything was read @throws FieldError naming line and field; what came before stands
 */
export async function bringInput(
  inputs: OpenInputs,
  session: string,
  path: string,
  body: AsyncIterable<Buffer>,
): Promise<void> {
  using taken = inputs.take(session, path);
  try {
    for await (const line of readInputLines(untilOver(body, taken.input.over))) {
      taken.input.push(line);
      await taken.input.taken();
    }
  } catch (error) {
    // It broke off; nobody is there to be told.
    if ((error as NodeJS.ErrnoException).code === 'ECONNRESET')
      throw new VerbError(400, 'body: broke off', { field: 'body', cause: error });
    throw error;
  }
}

/** What comes, until the stream that it is for is over: its caller may go on for ever. @throws VerbError 404 then */
async function* untilOver(
  body: AsyncIterable<Buffer>,
  over: Promise<VerbError>,
): AsyncGenerator<Buffer, void, void> {
  const chunks = body[Symbol.asyncIterator]();
  // One listener for all of it: a race a chunk would leave each behind.
  let tell = (_why: VerbError) => {};
  void over.then(why => tell(why));
  for (;;) {
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Buffer>>();
    tell = reject;
    chunks.next().then(resolve, reject);
    const { done, value } = await promise;
    if (done) return;
    yield value;
  }
}
