import { VerbError } from '../api/verb-error.ts';

/** Its messages go to callers and logs. */
const maxMessageLength = 1024;

/** Podman answered, with another status than a success. */
export class PodmanStatusError extends Error {
  readonly status: number;
  constructor(status: number, body: string) {
    super((messageIn(body) ?? `status ${status}`).slice(0, maxMessageLength));
    this.name = 'PodmanStatusError';
    this.status = status;
  }
}

/**
 * Why a request to Podman brought no result, in the caller's terms: 503 when it could not be asked, 502 when it broke off
 * or failed, its own 404 and 409 as they are.
 */
export function podmanFailure(error: unknown, socketPath: string): VerbError {
  if (error instanceof VerbError) return error;
  if (error instanceof PodmanStatusError) {
    const code = error.status === 404 || error.status === 409 ? error.status : 502;
    return new VerbError(code, `podman: ${error.message}`, { cause: error });
  }
  const { code, name, message } = (
    error instanceof Error ? error : new Error(String(error))
  ) as NodeJS.ErrnoException;
  if (name === 'AbortError' || name === 'TimeoutError')
    return new VerbError(503, `podman at ${socketPath} did not answer in time`, { cause: error });
  switch (code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
    case 'EACCES':
    case 'ENOTSOCK':
    case 'EAGAIN':
    case 'UND_ERR_CONNECT_TIMEOUT':
      return new VerbError(503, `podman is not reachable at ${socketPath}: ${message}`, { cause: error });
    default:
      return new VerbError(502, `podman at ${socketPath} broke off its answer: ${message}`, { cause: error });
  }
}

/** The message of Podman's error body, `{"message","cause","response"}`. */
function messageIn(body: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== 'object' || parsed === null || !('message' in parsed)) return undefined;
    return typeof parsed.message === 'string' ? parsed.message : undefined;
  } catch {
    return undefined;
  }
}
