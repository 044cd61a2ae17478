import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { StringDecoder } from 'node:string_decoder';
import { holdReason } from './held-reason.ts';

/** A POST to a Unix socket whose body and answer are streams of lines. */
export interface StreamedCall extends Disposable {
  /** Writes a value as a line of the body. Resolves when the kernel has accepted it. */
  write(value: unknown): Promise<void>;
  end(): void;
  /** Resolves with the head of the answer. */
  answered: Promise<{ status: number; headers: IncomingMessage['headers'] }>;
  /**
   * Returns the next line of the answer as JSON, undefined at the end.
   *
   * @throws Error when it broke off, and for an error that has no reason, or an unknown one
   */
  next(): Promise<unknown>;
  /** All lines that are left. */
  rest(): Promise<unknown[]>;
  hangUp(): void;
}

export function streamedCall(options: {
  socketPath: string;
  path: string;
  /** The whole body. Absent: the test writes it line by line. */
  json?: unknown;
  contentType?: string;
}): StreamedCall {
  const {
    socketPath,
    path,
    json,
    contentType = json === undefined ? 'application/x-ndjson' : 'application/json',
  } = options;
  const call = request({ socketPath, path, method: 'POST', headers: { 'content-type': contentType } });
  const response = once(call, 'response').then(([answer]) => answer as IncomingMessage);
  response.catch(() => {}); // for those who hang up before
  call.on('error', () => {});
  const lines = response.then(input => {
    input.on('error', () => {}); // the iterator says it
    return input[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  });
  lines.catch(() => {});
  const decoder = new StringDecoder('utf8');
  let text = '';
  let over = false;
  const self: StreamedCall = {
    write: value =>
      new Promise((resolve, reject) => {
        call.write(`${JSON.stringify(value)}\n`, error => (error == null ? resolve() : reject(error)));
      }),
    end: () => void call.end(),
    answered: response.then(({ statusCode = 0, headers }) => ({ status: statusCode, headers })),
    async next() {
      const chunks = await lines;
      while (!text.includes('\n') && !over) {
        const { done, value } = await chunks.next();
        if (done === true) over = true;
        else text += decoder.write(value);
      }
      if (text === '') return undefined;
      const [line = '', ...others] = text.split('\n');
      text = others.join('\n');
      const value = JSON.parse(line) as unknown;
      holdReason(value);
      return value;
    },
    async rest() {
      const all: unknown[] = [];
      for (let line = await self.next(); line !== undefined; line = await self.next()) all.push(line);
      return all;
    },
    hangUp: () => void call.destroy(),
    [Symbol.dispose]: () => void call.destroy(),
  };
  self.answered.catch(() => {});
  if (json === undefined) call.flushHeaders();
  else call.end(JSON.stringify(json));
  return self;
}
