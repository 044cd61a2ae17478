import { FieldError } from '@coold/proto';
import type { Logger } from '@coold/runtime';

/** A verb's failure as its caller sees it on either transport (docs/contract.md §3). */
export class VerbError extends Error {
  /** HTTP-shaped. */
  readonly code: number;
  /** The request's field that offends, where one does. */
  readonly field: string | undefined;
  constructor(code: number, message: string, options: { field?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'VerbError';
    this.code = code;
    this.field = options.field;
  }
}

/** Any failure as its caller may see it: what was not meant for callers is logged, and told as "internal error". */
export function asVerbError(error: unknown, verb: string, log: Logger): VerbError {
  if (error instanceof VerbError) return error;
  if (error instanceof FieldError)
    return new VerbError(400, error.message, { field: error.field, cause: error });
  log.error({ err: error, verb }, 'a verb failed in a way it should not; its caller gets 500');
  return new VerbError(500, 'internal error', { cause: error });
}
