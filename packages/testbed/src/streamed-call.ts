import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { StringDecoder } from 'node:string_decoder';

/** A POST to a unix socket whose body is written, and whose answer is read, line by line. */
export interface StreamedCall extends Disposable {
  /** Writes a value as a line of the body. Resolves when the kernel has it. */
  write(value: unknown): Promise<void>;
  end(): void;
  /** The answer as it begins. */
  answered: Promise<{ status: number; headers: IncomingMessage['headers'] }>;
  /** The next line of the answer as JSON; undefined when there is none left. @throws Error when it broke off */
  next(): Promise<unknown>;
  /** All lines that are left. */
  rest(): Promise<unknown[]>;
  hangUp(): void;
}

export function streamedCall(options: {
  socketPath: string;
  path: string;
  /** The whole body; absent: it is written. */
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
      return JSON.parse(line) as unknown;
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
