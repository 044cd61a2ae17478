import type { IncomingHttpHeaders } from 'node:http';

/** Thrown where a request is read: it is refused so. */
export class RefusedError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.name = 'RefusedError';
    this.code = code;
  }
}

/** @throws RefusedError for a body that is compressed or the like */
export function refuseEncoded(headers: IncomingHttpHeaders): void {
  if ((headers['content-encoding'] ?? 'identity') !== 'identity')
    throw new RefusedError(415, 'content-encoding: expected none');
}
