import { VerbError } from '../api/verb-error.ts';

/** Its messages go to callers and logs. */
const maxMessageLength = 1024;

/** Podman answered, with another status than a success. */
export class PodmanStatusError extends Error {
  readonly status: number;
  /** Podman's innermost reason: one of few fixed sentences; empty where it gives none. */
  readonly reason: string;
  constructor(status: number, body: string) {
    super((textIn(body, 'message') ?? `status ${status}`).slice(0, maxMessageLength));
    this.name = 'PodmanStatusError';
    this.status = status;
    this.reason = textIn(body, 'cause') ?? '';
  }
}

/** What Podman 4.3 answers 500 to although the caller asked for what is not there, or stands against what is. */
const codeOfReason: [reason: RegExp, code: number][] = [
  [/^image not known$/, 404],
  [/^network not found$/, 404],
  [/^container state improper$/, 409],
  [/^that name is already in use$/, 409],
  [/^network is being used$/, 409],
  [/is already used on the host or by another config$/, 409],
];

function codeOf({ status, reason }: PodmanStatusError): number {
  if (status === 404 || status === 409) return status;
  return codeOfReason.find(([pattern]) => pattern.test(reason))?.[1] ?? 502;
}

/**
 * Why a request to Podman brought no result, in the caller's terms: 503 when it could not be asked, 502 when it broke off
 * or failed, its own 404 and 409 as they are.
 */
export function podmanFailure(error: unknown, socketPath: string): VerbError {
  if (error instanceof VerbError) return error;
  if (error instanceof PodmanStatusError) {
    return new VerbError(codeOf(error), `podman: ${error.message}`, { cause: error });
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

/** A text of Podman's error body, `{"message","cause","response"}`. */
function textIn(body: string, key: 'message' | 'cause'): string | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== 'object' || parsed === null) return undefined;
    const value = (parsed as Record<string, unknown>)[key];
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}
