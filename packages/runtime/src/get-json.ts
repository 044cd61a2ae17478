import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Address } from './values.ts';

export interface JsonSource {
  /** A Unix socket's path, or an address; `pinned`: PEM certificates, one of which the server shows. */
  at: { socketPath: string } | (Address & { pinned: string | undefined });
  path: string;
  headers?: Record<string, string>;
  timeoutMs: number;
  /** Fields that the answer must have: one of another version may not. */
  fields?: readonly string[];
}

/** Nobody there, or not one of ours. */
export class UnreachableError extends Error {
  /** The system's code for why nobody could be asked, such as ENOENT. */
  readonly code: string | undefined;
  constructor(message: string, options: { code?: string | undefined; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.code = options.code;
  }
}

/**
 * Why a daemon cannot be asked on its socket, and what to do: one line.
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

/** Ten thousand hosts are 3 MB. */
const maxBytes = 64 * 1024 * 1024;

/**
 * The JSON object or list that one of our programs answers a GET with.
 *
 * @throws UnreachableError saying who was asked and what came instead
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
    if (typeof body !== 'object' || body === null) throw new Error(`its answer to ${path} is no object`);
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

function get(
  at: JsonSource['at'],
  path: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<{ status: number | undefined; text: string }> {
  const isTls = !('socketPath' in at) && at.pinned !== undefined;
  const options = {
    ...{ path, headers, signal, agent: false as const },
    ...('socketPath' in at ? { socketPath: at.socketPath } : { host: at.host, port: at.port }),
    // The certificate itself is what is trusted, for whichever name it was made.
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
