import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { toJson } from './ndjson.ts';

/** What is wrong with a request, told to its caller. */
export class BadRequest extends Error {
  readonly status: number;
  /** Text, as for what the agent's framework refuses; JSON is what the agent itself says. */
  readonly isText: boolean;
  constructor(message: string, { status = 400, isText = true }: { status?: number; isText?: boolean } = {}) {
    super(message);
    this.status = status;
    this.isText = isText;
  }
}

/** An HTTP server that no request ends, whatever it asks: what a handler throws is told to its caller alone. */
export function createSafeServer(
  handle: (req: IncomingMessage, res: ServerResponse) => Promise<void>,
): Server {
  return createServer((req, res) => {
    // Without a listener, a write to a caller who has just left would end the process.
    res.on('error', () => {});
    handle(req, res).catch((error: unknown) => {
      if (res.headersSent) res.destroy();
      else refuse(res, error);
    });
  });
}

/** @throws BadRequest where the request's target is no URL, such as `//` */
export function urlOf(req: IncomingMessage): URL {
  const url = URL.parse(req.url ?? '/', 'http://agent');
  if (url === null) throw new BadRequest('the target of the request is not a URL');
  return url;
}

function refuse(res: ServerResponse, error: unknown): void {
  const { message } = error as Error;
  if (!(error instanceof BadRequest)) answer(res, 500, { error: message });
  else if (error.isText)
    res.writeHead(error.status, { 'content-type': 'text/plain; charset=utf-8' }).end(message);
  else answer(res, error.status, { error: message });
}

/** An answer without a body. */
export function answerEmpty(res: ServerResponse, status: number): void {
  res.writeHead(status).end();
}

export function answer(res: ServerResponse, status: number, body: unknown): void {
  res.writeHead(status, { 'content-type': 'application/json' }).end(toJson(body));
}
