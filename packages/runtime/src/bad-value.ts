/**
 * A value of the configuration that turned out to be wrong where it was used. The program ends with exit 2, as for one that
 * is wrong by itself (docs/contract.md §8), and systemd lets it rest.
 */
export class BadValue extends Error {
  /** @param variable as it is set in the environment */
  constructor(variable: string, value: string, expected: string, options?: ErrorOptions) {
    super(`${variable}=${JSON.stringify(value)}: expected ${expected}`, options);
    this.name = 'BadValue';
  }
}
