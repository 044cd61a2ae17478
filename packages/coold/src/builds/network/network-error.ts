/** A build cannot get a network on this host. The message says why; the caller of the build gets it. */
export class NetworkError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'NetworkError';
  }
}
