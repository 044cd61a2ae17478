/**
 * A configuration value that proved wrong only when it was used. The program ends with exit code 2, as for a value that is
 * malformed (docs/contract.md §8), and systemd does not restart it.
 */
export class BadValue extends Error {
  /** @param variable the name of the environment variable */
  constructor(variable: string, value: string, expected: string, options?: ErrorOptions) {
    super(`${variable}=${JSON.stringify(value)}: expected ${expected}`, options);
    this.name = 'BadValue';
  }
}
