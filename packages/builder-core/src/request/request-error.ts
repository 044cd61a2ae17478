/** A field of a request has a wrong value. The message begins with the path of the field. */
export class RequestError extends Error {
  readonly field: string;
  constructor(field: string, expected: string) {
    super(`${field}: ${expected}`);
    this.name = 'RequestError';
    this.field = field;
  }
}
