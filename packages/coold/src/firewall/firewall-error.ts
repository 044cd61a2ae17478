import { codeOf, type Reason } from '@coold/errors';
import { errorMessage } from '@coold/runtime';

/** A change of the firewall that failed, as its caller sees it. */
export class FirewallError extends Error {
  readonly reason: Reason;
  /** The HTTP status that fits the reason. */
  readonly code: number;
  constructor(reason: Reason, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'FirewallError';
    this.reason = reason;
    this.code = codeOf(reason);
  }
}

/** Returns the error for a change that failed before anything was changed. */
export function asFirewallError(error: unknown): FirewallError {
  return error instanceof FirewallError
    ? error
    : new FirewallError('firewall_failed', `nothing has changed: ${errorMessage(error)}`, error);
}
