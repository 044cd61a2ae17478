import { VerbError } from '../api/verb-error.ts';

/**
 * Why a request to Podman brought no result, in the caller's terms: 503 when it could not be asked, 502 when it broke off
 * or failed, its own 404 and 409 as they are.
 */
export function podmanFailure(error: unknown, socketPath: string): VerbError {
  if (error instanceof VerbError) return error;
  const { code, name, message, statusCode, json } = fields(error);
  if (name === 'AbortError' || name === 'TimeoutError')
    return new VerbError(503, `podman at ${socketPath} did not answer in time`, { cause: error });
  if (typeof statusCode === 'number') {
    const own = typeof json?.['message'] === 'string' ? json['message'] : message;
    return new VerbError(statusCode === 404 || statusCode === 409 ? statusCode : 502, `podman: ${own}`, {
      cause: error,
    });
  }
  switch (code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
    case 'EACCES':
    case 'ENOTSOCK':
    case 'EAGAIN':
      return new VerbError(503, `podman is not reachable at ${socketPath}: ${message}`, { cause: error });
    default:
      return new VerbError(502, `podman at ${socketPath} broke off its answer: ${message}`, { cause: error });
  }
}

function fields(error: unknown) {
  return (typeof error === 'object' && error !== null ? error : { message: String(error) }) as {
    code?: string;
    name?: string;
    message?: string;
    statusCode?: number;
    json?: Record<string, unknown>;
  };
}
