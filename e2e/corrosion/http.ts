import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { toJson } from './ndjson.ts';

/** What is wrong with a request, told to its caller. */
export class BadRequest extends Error {}

/** An HTTP server that no request ends, whatever it asks: what a handler throws is told to its caller alone. */
export function createSafeServer(
  handle: (req: IncomingMessage, res: ServerResponse) => Promise<void>,
): Server {
  return createServer((req, res) => {
    // Without a listener, a write to a caller who has just left would end the process.
    res.on('error', () => {});
    handle(req, res).catch((error: unknown) => {
      if (res.headersSent) res.destroy();
      else answer(res, statusOf(error), { error: (error as Error).message });
    });
  });
}

/** @throws BadRequest where the request's target is no URL, such as `//` */
export function urlOf(req: IncomingMessage): URL {
  const url = URL.parse(req.url ?? '/', 'http://agent');
  if (url === null) throw new BadRequest('the target of the request is not a URL');
  return url;
}

export function statusOf(error: unknown): 400 | 500 {
  return error instanceof BadRequest ? 400 : 500;
}

export function answer(res: ServerResponse, status: number, body: unknown): void {
  res.writeHead(status, { 'content-type': 'application/json' }).end(toJson(body));
}
