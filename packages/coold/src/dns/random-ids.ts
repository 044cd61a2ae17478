import { randomFillSync } from 'node:crypto';

const drawnAtOnce = 4096;

/** Ids of messages that nobody can guess (RFC 5452), drawn many at once: each by itself costs as much as a look-up. */
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
