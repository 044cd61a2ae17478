import type { IncomingHttpHeaders } from 'node:http';
import type { Reason } from '@coold/errors';

/** Thrown while a request is read, to refuse it. */
export class RefusedError extends Error {
  readonly reason: Reason;
  constructor(reason: Reason, message: string) {
    super(message);
    this.name = 'RefusedError';
    this.reason = reason;
  }
}

/** @throws RefusedError for a body that is compressed or has another unsupported encoding */
export function refuseEncoded(headers: IncomingHttpHeaders): void {
  if ((headers['content-encoding'] ?? 'identity') !== 'identity')
    throw new RefusedError('media_type', 'content-encoding: expected none');
}
