import { randomFillSync } from 'node:crypto';

const drawnAtOnce = 4096;

/**
 * Returns a function that draws unguessable message ids (RFC 5452). Ids are drawn in batches, because a single draw
 * costs as much as a look-up.
 */
export function createRandomIds(): () => number {
  const ids = new Uint16Array(drawnAtOnce);
  let next = drawnAtOnce;
  return () => {
    if (next >= drawnAtOnce) {
      randomFillSync(ids);
      next = 0;
    }
    const id = ids[next] ?? 0;
    next += 1;
    return id;
  };
}
