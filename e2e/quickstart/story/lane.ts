import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { unixHttp } from '@coold/testbed';
import type { Answer, Call, Output } from './step.ts';
import { fieldOf } from './wanted.ts';

/** A program whose output is a stream. */
export interface OpenStream {
  /** Resolves with the first line of output. @throws Error when the stream is refused or ends before */
  begun: Promise<void>;
  /** Resolves with its output when it has ended. */
  ended: Promise<Output>;
  /** Disconnects, which ends the program. */
  [Symbol.dispose](): void;
}

/** The broker's socket, used like Laravel does. */
export interface Lane extends AsyncDisposable {
  call(call: Call): Promise<Answer>;
  open(call: Call): OpenStream;
}

/** Time limit for an answer, in ms. A dispatch may take 10 s, and so may waiting for a build's result. */
const answerMs = 40_000;

export function openLane(socketPath: string): Lane {
  const http = unixHttp(socketPath);
  return {
    async call({ method, path, body }) {
      const answer = await http.request({ method, path, json: body, timeoutMs: answerMs });
      return { status: answer.status, body: answer.text === '' ? undefined : answer.json() };
    },
    open: call => openStream(socketPath, call),
    [Symbol.asyncDispose]: () => http[Symbol.asyncDispose](),
  };
}

function openStream(socketPath: string, { method, path, body }: Call): OpenStream {
  const headers = { 'content-type': 'application/json' };
  const asked = request({ socketPath, method, path: path, headers });
  const output: Output = { lines: [], exitCode: undefined };
  let text = '';
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<Output>();
  begun.promise.catch(() => {});
  ended.promise.catch(() => {});
  const fail = (error: Error) => {
    begun.reject(error);
    ended.reject(error);
  };
  const take = (line: string) => {
    const frame: unknown = JSON.parse(line);
    const [data, exitCode] = [fieldOf(frame, 'data'), fieldOf(frame, 'exit_code')];
    if (fieldOf(frame, 'status') === 'error' || fieldOf(frame, 'error') !== undefined)
      fail(new Error(`the stream of ${path} said ${line}`));
    if (typeof exitCode === 'number') output.exitCode = exitCode;
    if (typeof data !== 'string') return;
    text += data;
    begun.resolve();
  };
  asked.once('error', fail);
  asked.once('response', response => {
    const lines = createInterface({ input: response });
    lines.on('line', line => {
      try {
        take(line);
      } catch {
        fail(new Error(`the stream of ${path} answered ${response.statusCode ?? 0}: ${line}`));
      }
    });
    response.on('error', fail);
    lines.on('error', fail); // the response fails with the same error, which would be unhandled
    lines.once('close', () => {
      output.lines = text.split('\n').filter(line => line !== '');
      begun.reject(new Error(`the stream of ${path} ended before it said anything`));
      ended.resolve(output);
    });
  });
  asked.end(JSON.stringify(body));
  return { begun: begun.promise, ended: ended.promise, [Symbol.dispose]: () => void asked.destroy() };
}
