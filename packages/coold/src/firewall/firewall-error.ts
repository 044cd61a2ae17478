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
