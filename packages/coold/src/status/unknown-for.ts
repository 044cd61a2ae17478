/**
 * Call it with whether something is unknown, whenever that is read.
 *
 * @returns how long it has been unknown at each call, in ms; 0 when it is known, or was at the call before
 */
export type UnknownFor = (isUnknown: boolean) => number;

/** @param now monotonic, in ms */
export function createUnknownFor(now: () => number = () => performance.now()): UnknownFor {
  let since: number | undefined;
  return isUnknown => {
    if (!isUnknown) since = undefined;
    else since ??= now();
    return since === undefined ? 0 : now() - since;
  };
}
