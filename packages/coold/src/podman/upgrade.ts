import { request } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { PodmanStatusError } from './failure.ts';

/**
 * Posts JSON to a Unix socket and keeps the connection as a pipe, with separate ends for both directions; undici's
 * upgrade sends no body. Only reads and writes report what ended the pipe.
 *
 * @param options.signal ends the waiting for the pipe, not the pipe
 * @throws PodmanStatusError when the answer is another one
 */
export function upgrade(
  socketPath: string,
  path: string,
  json: unknown,
  options: { signal: AbortSignal; maxBytes: number },
): Promise<Socket> {
  const { signal, maxBytes } = options;
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const body = JSON.stringify(json);
  const asked = request({
    socketPath,
    path,
    method: 'POST',
    agent: false,
    headers: {
      connection: 'Upgrade',
      upgrade: 'tcp',
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    },
  });
  const onAbort = () => asked.destroy(signal.reason instanceof Error ? signal.reason : undefined);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  asked.once('close', () => signal.removeEventListener('abort', onAbort));
  asked.once('error', reject);
  asked.once('upgrade', (_answer, socket: Duplex, head) => {
    signal.removeEventListener('abort', onAbort);
    // The pipe may be idle without limit.
    socket.on('error', () => {});
    if (head.length > 0) socket.unshift(head);
    resolve(socket as Socket);
  });
  asked.once('response', async answer => {
    let text = '';
    try {
      for await (const chunk of answer.setEncoding('utf8')) if (text.length < maxBytes) text += String(chunk);
      reject(new PodmanStatusError(answer.statusCode ?? 0, text));
    } catch (error) {
      reject(error);
    }
  });
  asked.end(body);
  return promise;
}
