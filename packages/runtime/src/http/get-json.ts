import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Address } from '../config/values.ts';
import { isObject } from '../unknown-values.ts';

export interface JsonSource {
  /** The path of a Unix socket, or an address. `pinned`: PEM certificates, one of which the server must present. */
  at: { socketPath: string } | (Address & { pinned: string | undefined });
  path: string;
  headers?: Record<string, string>;
  timeoutMs: number;
  /** Fields that the answer must have. The answer of another version may lack them. */
  fields?: readonly string[];
}

/** The server did not answer, or is not one of our programs. */
export class UnreachableError extends Error {
  /** The error code of the system, for example ENOENT. */
  readonly code: string | undefined;
  constructor(message: string, options: { code?: string | undefined; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.code = options.code;
  }
}

/**
 * Returns one line that says why a daemon did not answer on its socket, and what to do.
 *
 * @param program also the name of its unit
 */
export function explainUnreachable(program: string, { code, message }: UnreachableError): string {
  switch (code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return `${program} does not run (${message}): start it with "systemctl start ${program}"; "journalctl -u ${program}" says why it ended`;
    case 'EACCES':
      return `${message}: run this as root`;
    default:
      return message;
  }
}

/** The longest answer, in bytes. The hosts of a broker with 10,000 of them take 3 MB. */
const maxBytes = 64 * 1024 * 1024;

/**
 * Sends a GET to one of our programs and returns the JSON object or list of its answer.
 *
 * @throws UnreachableError naming the address and what came instead
 */
export async function getJson({
  at,
  path,
  headers = {},
  timeoutMs,
  fields = [],
}: JsonSource): Promise<unknown> {
  const name = 'socketPath' in at ? at.socketPath : `${at.host}:${at.port}`;
  try {
    const { status, text } = await get(at, path, headers, AbortSignal.timeout(timeoutMs));
    if (status !== 200) throw new Error(`it answers ${path} with HTTP ${status}`);
    const body: unknown = JSON.parse(text);
    if (!isObject(body) && !Array.isArray(body))
      throw new Error(`its answer to ${path} is neither an object nor a list`);
    const missing = fields.find(field => !(field in body));
    if (missing !== undefined)
      throw new Error(`its answer to ${path} has no ${missing}: is it another version?`);
    return body;
  } catch (error) {
    const { name: kind, message, code } = error as NodeJS.ErrnoException;
    const why = kind === 'AbortError' ? `no answer within ${timeoutMs} ms` : message || code;
    throw new UnreachableError(`${name} cannot be asked: ${why}`, { code, cause: error });
  }
}

/**
 * Returns the answer to a GET with any status, because a refusal has its reason in the body.
 *
 * @throws UnreachableError when there is no answer, or it is not JSON
 */
export async function getAnswer({
  at,
  path,
  headers = {},
  timeoutMs,
}: Omit<JsonSource, 'fields'>): Promise<{ status: number; body: unknown }> {
  const name = 'socketPath' in at ? at.socketPath : `${at.host}:${at.port}`;
  try {
    const { status = 0, text } = await get(at, path, headers, AbortSignal.timeout(timeoutMs));
    return { status, body: JSON.parse(text) };
  } catch (error) {
    const { name: kind, message, code } = error as NodeJS.ErrnoException;
    const why = kind === 'AbortError' ? `no answer within ${timeoutMs} ms` : message || code;
    throw new UnreachableError(`${name} cannot be asked: ${why}`, { code, cause: error });
  }
}

function get(
  at: JsonSource['at'],
  path: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<{ status: number | undefined; text: string }> {
  const isTls = !('socketPath' in at) && at.pinned !== undefined;
  const options = {
    path,
    headers,
    signal,
    agent: false as const,
    ...('socketPath' in at ? { socketPath: at.socketPath } : { host: at.host, port: at.port }),
    // The certificate itself is trusted, so its name does not matter.
    ...(isTls ? { ca: at.pinned, allowPartialTrustChain: true, checkServerIdentity: () => undefined } : {}),
  };
  return new Promise((resolve, reject) => {
    const request = (isTls ? httpsRequest : httpRequest)(options, response => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > maxBytes) request.destroy(new Error(`its answer is longer than ${maxBytes} bytes`));
      });
      response.once('error', reject);
      response.once('end', () =>
        resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    request.once('error', reject);
    request.end();
  });
}
