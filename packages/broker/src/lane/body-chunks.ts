import type { Readable } from 'node:stream';

/** A body whose sender paused for too long. */
export class IdleBodyError extends Error {
  constructor(idleMs: number) {
    super(`body: nothing came for ${idleMs / 1000} s`);
    this.name = 'IdleBodyError';
  }
}

/**
 * Yields the chunks of a body on demand, so that a slow reader slows the sender down. Stopping early leaves the rest
 * unread, and its request can still be answered.
 *
 * @param idleMs the longest wait for a chunk
 * @throws IdleBodyError; Error when the sender hung up
 */
export async function* bodyChunks(body: Readable, idleMs: number): AsyncGenerator<Uint8Array, void, void> {
  const chunks = body.iterator({ destroyOnReturn: false });
  while (true) {
    const next = chunks.next();
    // Also handled when no reader waits for it any more.
    next.catch(() => {});
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new IdleBodyError(idleMs)), idleMs);
    const { done, value } = await Promise.race([next, late.promise]).finally(() => clearTimeout(timer));
    if (done === true) return;
    yield value as Uint8Array;
  }
}
