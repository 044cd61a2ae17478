/** The stage of a build. Progress names it, and so does an error (docs/contract.md §2, `stage`). */
export type Stage = 'request' | 'git' | 'stack' | 'buildah' | 'push' | 'digest';

/**
 * Ends a build without an image. `code` follows HTTP: 422 the repository does not fit the request, 501 the stack is not
 * supported, 502 another server failed, 504 something took too long, 507 the disk is full, 500 everything else.
 */
export class BuildFailure extends Error {
  readonly code: number;
  readonly stage: Stage;
  constructor(code: number, stage: Stage, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BuildFailure';
    this.code = code;
    this.stage = stage;
  }
}

/** Whether a program's output says that a disk is full or a quota is used up. */
export function meansNoSpace(text: string): boolean {
  return /no space left on device|disk quota exceeded|\bENOSPC\b|\bEDQUOT\b/i.test(text);
}
