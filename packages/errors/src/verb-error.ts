import { FieldError } from '@coold/proto';
import { codeOf, type Reason } from './reason.ts';

/** A verb's failure as its caller sees it on either transport (docs/contract.md §3). */
export class VerbError extends Error {
  readonly reason: Reason;
  /** The code of its reason, which follows HTTP. */
  readonly code: number;
  /** The field of the request that has a wrong value, if one does. */
  readonly field: string | undefined;
  constructor(reason: Reason, message: string, options: { field?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'VerbError';
    this.reason = reason;
    this.code = codeOf(reason);
    this.field = options.field;
  }
}

/** The log for errors that are not meant for callers. */
export interface FaultLog {
  error(fields: object, message: string): void;
}

/** Turns anything that was thrown into the error for the caller. An error that is not meant for callers is logged, and the caller gets "internal error". */
export function asVerbError(error: unknown, verb: string, log: FaultLog): VerbError {
  if (error instanceof VerbError) return error;
  if (error instanceof FieldError)
    return new VerbError('invalid_request', error.message, { field: error.field, cause: error });
  log.error({ err: error, verb }, 'unhandled error in a verb; its caller gets 500');
  return new VerbError('internal_error', 'internal error', { cause: error });
}
