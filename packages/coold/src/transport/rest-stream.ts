import type { ServerResponse } from 'node:http';
import type { Message } from '@bufbuild/protobuf';
import { asVerbError, VerbError } from '@coold/errors';
import { encodeOutput, encodeStreamError, maxStreamChunkBytes, readInputLines } from '@coold/proto';
import type { Logger } from '@coold/runtime';
import type { StreamForm } from '../handler.ts';
import { createInput } from '../stream-input.ts';
import { callerLeft } from '../verbs/calls.ts';
import type { OpenInputs } from './exec-inputs.ts';
import type { Streams } from './streams.ts';

export const ndjsonType = 'application/x-ndjson';

export interface RestStreamCall {
  verb: string;
  /** Whether its frames are JSON lines themselves. */
  lines: boolean;
  form: StreamForm;
  request: Message;
  requestId: string;
  /** The path of the call, with its parameters filled in. */
  path: string;
  response: ServerResponse;
}

export interface RestStreamOptions {
  streams: Streams;
  inputs: OpenInputs;
  log: Logger;
}

/**
 * Answers a call with NDJSON as it is produced (docs/contract.md §3): frames, then a program's exit code; an error
 * after the beginning is the last line. Nothing is written before the handler has opened the stream.
 *
 * @returns the status to record
 * @throws VerbError for errors that are answered in the usual way
 */
export async function answerStream(call: RestStreamCall, options: RestStreamOptions): Promise<number> {
  const { verb, lines, form, request, requestId, path, response } = call;
  const { streams, inputs, log } = options;
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  // One chunk at a time: the call that delivers input waits until it was taken.
  const input = createInput(form.takesInput ? maxStreamChunkBytes : 0);
  using _open = form.takesInput ? inputs.add(requestId, path, input) : undefined;
  let opened = false;
  const writeLine = (line: object) => write(response, `${JSON.stringify(line)}\n`);
  try {
    const { exitCode } = await streams.run(
      gone.signal,
      signal =>
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
            await (lines ? write(response, data) : writeLine(encodeOutput(stream, data)));
            signal.throwIfAborted();
          },
          stdin: input.stdin,
          resizes: input.resizes,
          signal,
        }),
      form.isLight === true ? 'light' : 'usual',
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

/** Resolves when there is room for more, or the reader has left. */
function write(response: ServerResponse, text: string | Buffer): Promise<void> {
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
 * Passes the lines of a body to a stream's input, as fast as it takes them. Resolves when it has taken all.
 *
 * @throws VerbError 404 or 409 before anything was read
 * @throws FieldError naming line and field; earlier lines were delivered
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
    // The connection broke, so there is nobody to answer.
    if ((error as NodeJS.ErrnoException).code === 'ECONNRESET')
      throw new VerbError('invalid_request', 'body: broke off', { field: 'body', cause: error });
    throw error;
  }
}

/** Yields input until its stream is over, because its caller may go on for ever. @throws VerbError 404 then */
async function* untilOver(
  body: AsyncIterable<Buffer>,
  over: Promise<VerbError>,
): AsyncGenerator<Buffer, void, void> {
  const chunks = body[Symbol.asyncIterator]();
  // One listener for the whole call: a race per chunk would leave a listener behind each time.
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
