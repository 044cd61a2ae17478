/**
 * Why Corrosion did not do what it was asked: `unreachable` when it could not be asked or broke off, `refused` when it
 * answered with another status than a success or with an error, `malformed` when its answer is none that
 * docs/contract.md §5 knows.
 */
export type CorrosionFault = 'unreachable' | 'refused' | 'malformed';

export class CorrosionError extends Error {
  readonly fault: CorrosionFault;
  constructor(fault: CorrosionFault, message: string, options?: ErrorOptions) {
    super(`corrosion ${message}`, options);
    this.name = 'CorrosionError';
    this.fault = fault;
  }
}

/** Whether a statement names a table that the agent's schema does not have, as that of another version may not. */
export function isMissingTable(error: unknown): boolean {
  return error instanceof CorrosionError && error.fault === 'refused' && /no such table/i.test(error.message);
}

/** Any failure of a request, in these terms. */
export function asCorrosionError(error: unknown, url: string): CorrosionError {
  if (error instanceof CorrosionError) return error;
  const { message, name } = error instanceof Error ? error : new Error(String(error));
  const why = name === 'AbortError' || name === 'TimeoutError' ? 'no answer in time' : message;
  return new CorrosionError('unreachable', `at ${url}: ${why}`, { cause: error });
}
