/** docs/contract.md §2: it becomes the name of a unit and of a folder. */
export const requestIdPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

export function isRequestId(text: string): boolean {
  return requestIdPattern.test(text);
}
