/** A build cannot get a network on this host; the message says why, and is told to who asked for the build. */
export class NetworkError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'NetworkError';
  }
}
