/** What a build is doing; also what an error says it was doing (docs/contract.md §2, `stage`). */
export type Stage = 'request' | 'git' | 'stack' | 'buildah' | 'push' | 'digest';

/**
 * A build that ends without an image. `code` is HTTP-shaped: 422 the repository is not what was asked for, 501 a stack
 * that is not there, 502 another server failed, 504 it took too long, 507 no room on the disk, 500 everything else.
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

/** What programs say when a disk is full or a quota used up. */
export function meansNoSpace(text: string): boolean {
  return /no space left on device|disk quota exceeded|\bENOSPC\b|\bEDQUOT\b/i.test(text);
}
