/** A change of the firewall that did not happen, as its caller may see it. */
export class FirewallError extends Error {
  /** HTTP-shaped. */
  readonly code: 409 | 503;
  constructor(code: FirewallError['code'], message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'FirewallError';
    this.code = code;
  }
}

/** What the caller of a change that did not happen is told of what went wrong. */
export function asFirewallError(error: unknown): FirewallError {
  return error instanceof FirewallError
    ? error
    : new FirewallError(503, `nothing has changed: ${messageOf(error)}`, error);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
