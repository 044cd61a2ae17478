/** A verb's failure as its caller sees it on either transport (CONTRACT §3). */
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
