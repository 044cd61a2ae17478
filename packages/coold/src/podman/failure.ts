import { codeOf, type Reason, VerbError } from '@coold/errors';
import { isObject, parseJson } from '@coold/runtime';

/** Messages go to callers and logs, so their length is limited. */
const maxMessageLength = 1024;

/** Podman answered with a status other than success. */
export class PodmanStatusError extends Error {
  readonly status: number;
  /** The `cause` in Podman's answer, one of a few fixed sentences. Empty when there is none. */
  readonly reason: string;
  constructor(status: number, body: string) {
    super((textIn(body, 'message') ?? `status ${status}`).slice(0, maxMessageLength));
    this.name = 'PodmanStatusError';
    this.status = status;
    this.reason = textIn(body, 'cause') ?? '';
  }
}

/** Causes that mean a missing or conflicting object. Podman 4.3 answers some of these with a 500. */
const reasonOfCause: [cause: RegExp, reason: Reason][] = [
  [/^image not known$/, 'image_not_found'],
  [/^no such image$/, 'image_not_found'],
  [/^no such container$/, 'container_not_found'],
  [/^network not found$/, 'network_not_found'],
  [/^no such volume$/, 'volume_not_found'],
  [/^container state improper$/, 'container_state'],
  [/^that name is already in use$/, 'name_taken'],
  [/^network is being used$/, 'in_use'],
  [/^volume is being used$/, 'in_use'],
  [/^image is in use by a container$/, 'in_use'],
  [/is already used on the host or by another config$/, 'subnet_taken'],
  [/^repository name must not be more than \d+ characters$/, 'invalid_request'],
  // The driver of a volume.
  [/^required plugin missing$/, 'invalid_request'],
];

function reasonOf({ status, reason: cause }: PodmanStatusError): Reason {
  const told = reasonOfCause.find(([pattern]) => pattern.test(cause))?.[1];
  if (status === 404) return told !== undefined && codeOf(told) === 404 ? told : 'not_found';
  if (status === 409) return told !== undefined && codeOf(told) === 409 ? told : 'conflict';
  return told ?? 'podman_failed';
}

/**
 * Translates a failed request to Podman for callers: 503 when it could not be asked, 502 when it broke off or failed;
 * its own 404 and 409 are kept.
 */
export function podmanFailure(error: unknown, socketPath: string): VerbError {
  if (error instanceof VerbError) return error;
  if (error instanceof PodmanStatusError) {
    return new VerbError(reasonOf(error), `podman: ${error.message}`, { cause: error });
  }
  const { code, name, message } = (
    error instanceof Error ? error : new Error(String(error))
  ) as NodeJS.ErrnoException;
  if (name === 'AbortError' || name === 'TimeoutError')
    return new VerbError('podman_unavailable', `podman at ${socketPath} did not answer in time`, {
      cause: error,
    });
  switch (code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
    case 'EACCES':
    case 'ENOTSOCK':
    case 'EAGAIN':
    case 'UND_ERR_CONNECT_TIMEOUT':
      return new VerbError('podman_unavailable', `podman is not reachable at ${socketPath}: ${message}`, {
        cause: error,
      });
    default:
      return new VerbError('podman_failed', `podman at ${socketPath} broke off its answer: ${message}`, {
        cause: error,
      });
  }
}

/** Returns a text of Podman's error body, `{"message","cause","response"}`. */
function textIn(body: string, key: 'message' | 'cause'): string | undefined {
  const parsed = parseJson(body);
  const value = isObject(parsed) ? parsed[key] : undefined;
  return typeof value === 'string' ? value : undefined;
}
