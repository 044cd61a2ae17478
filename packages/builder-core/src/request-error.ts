/** A request that cannot be meant; the message begins with the path of the field that offends. */
export class RequestError extends Error {
  readonly field: string;
  constructor(field: string, expected: string) {
    super(`${field}: ${expected}`);
    this.name = 'RequestError';
    this.field = field;
  }
}
