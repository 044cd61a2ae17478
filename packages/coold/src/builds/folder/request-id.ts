/** Stricter than for other commands (docs/contract.md §2): the id becomes the name of a unit and of a folder. */
const requestIdPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/** Whether a text is a request id that a build may have. */
export function isRequestId(text: string): boolean {
  return requestIdPattern.test(text);
}
