/**
 * Something that the program needs from outside is missing or unusable: a key, a certificate, an address, a socket. The
 * message names it and says what to do. It is logged without a stack trace, since the fault is not in the code.
 */
export class UnusableError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UnusableError';
  }
}
