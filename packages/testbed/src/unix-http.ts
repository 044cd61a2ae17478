import { Agent, request } from 'undici';

export interface HttpAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  /** The body as JSON; throws where it is none. */
  json(): unknown;
}

export interface HttpRequest {
  method?: 'GET' | 'POST' | 'DELETE' | 'PUT';
  path: string;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is. */
  body?: string | Buffer;
  headers?: Record<string, string>;
  timeoutMs?: number;
}

/** An HTTP client of one unix socket. */
export interface UnixHttp extends AsyncDisposable {
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
