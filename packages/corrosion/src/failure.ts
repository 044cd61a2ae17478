/**
 * Why a request to Corrosion failed. `unreachable`: no connection, or the answer broke off. `refused`: Corrosion answered with
 * an error or a status other than success. `malformed`: the answer does not conform to docs/contract.md §5.
 */
export type CorrosionFault = 'unreachable' | 'refused' | 'malformed';

/** Returns why the agent refused a request, with its own text and what an operator has to do. */
export function refusalText(
  said: string,
  { status, hasToken }: { status?: number; hasToken: boolean },
): string {
  if (status === 401)
    return hasToken
      ? 'answered 401: the token is wrong: it must be that of api.authz.bearer-token in config.toml of Corrosion'
      : 'answered 401: it wants a token, and no token file is configured';
  const text = status === undefined ? said : `answered ${status}: ${said}`;
  const table = /no such table: ([\w.]+)/i.exec(said)?.[1];
  return table === undefined
    ? text
    : `${text}; install the schema file of ${table} and run systemctl reload corrosion`;
}

export class CorrosionError extends Error {
  readonly fault: CorrosionFault;
  constructor(fault: CorrosionFault, message: string, options?: ErrorOptions) {
    super(`corrosion ${message}`, options);
    this.name = 'CorrosionError';
    this.fault = fault;
  }
}

/** Whether a request failed because the agent's schema lacks a table. The schema of another version may lack it. */
export function isMissingTable(error: unknown): boolean {
  return error instanceof CorrosionError && error.fault === 'refused' && /no such table/i.test(error.message);
}

/** Turns anything that a request threw into a CorrosionError. */
export function asCorrosionError(error: unknown, url: string): CorrosionError {
  if (error instanceof CorrosionError) return error;
  const { message, name } = error instanceof Error ? error : new Error(String(error));
  const why = name === 'AbortError' || name === 'TimeoutError' ? 'no answer in time' : message;
  return new CorrosionError('unreachable', `at ${url}: ${why}`, { cause: error });
}
