/** Input that does not fit; `field` is the path of what offends. */
export class FieldError extends Error {
  readonly field: string;
  constructor(field: string, expected: string) {
    super(`${field}: ${expected}`);
    this.name = 'FieldError';
    this.field = field;
  }
}
