import { Agent, request } from 'undici';
import { holdReason } from './held-reason.ts';

export interface HttpAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  /** Returns the body as JSON. @throws Error when it is not JSON */
  json(): unknown;
}

export interface HttpRequest {
  method?: 'GET' | 'POST' | 'DELETE' | 'PUT' | 'QUERY';
  path: string;
  /** Sent as JSON. */
  json?: unknown;
  /** The body, sent unchanged. */
  body?: string | Buffer;
  headers?: Record<string, string>;
  timeoutMs?: number;
}

/** An HTTP client of one unix socket. */
export interface UnixHttp extends AsyncDisposable {
  /** @throws Error for an error of a broker that has no reason, or an unknown one */
  request(request: HttpRequest): Promise<HttpAnswer>;
}

export function unixHttp(socketPath: string): UnixHttp {
  const dispatcher = new Agent({ connect: { socketPath, timeout: 10_000 }, connections: 256 });
  return {
    async request({ method = 'GET', path, json, body, headers = {}, timeoutMs = 30_000 }) {
      const answer = await request(`http://localhost${path}`, {
        dispatcher,
        method,
        headers: json === undefined ? headers : { 'content-type': 'application/json', ...headers },
        body: json === undefined ? (body ?? null) : JSON.stringify(json),
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      });
      const text = await answer.body.text();
      // Every envelope of a broker begins with it.
      if (text.startsWith('{"request_id":')) holdReason(JSON.parse(text.split('\n', 1)[0] ?? ''));
      return {
        status: answer.statusCode,
        headers: answer.headers,
        text,
        json: () => JSON.parse(text) as unknown,
      };
    },
    [Symbol.asyncDispose]: () => dispatcher.destroy(),
  };
}
