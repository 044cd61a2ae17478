import type { KeepableAnswer } from './keepable-answer.ts';

/** A cached answer, and when it came. */
export interface KeptAnswer extends KeepableAnswer {
  message: Buffer;
  /** In ms. */
  keptAt: number;
}

/** Answers by question, limited in bytes. The least recently used answer is dropped first. */
export interface AnswerCache {
  /** Also returns expired answers; the caller has to check. */
  find(key: string): KeptAnswer | undefined;
  /** @param message is copied @param now in ms */
  keep(key: string, message: Buffer, keepable: KeepableAnswer, now: number): void;
  remove(key: string): void;
  /** Returns the cache's size in bytes, as far as it is counted. */
  size(): number;
}

/** The memory of an entry besides its key and message, in bytes: measured, and rounded up. */
const overheadBytes = 400;
/** Larger answers are rare, and one would displace many. */
const maxMessageBytes = 4096;

export function createAnswerCache(maxBytes: number): AnswerCache {
  /** In order of last use. */
  const kept = new Map<string, KeptAnswer>();
  let bytes = 0;
  const sizeOf = (key: string, { message, ttlOffsets }: KeptAnswer) =>
    overheadBytes + key.length + message.length + 4 * ttlOffsets.length;

  function remove(key: string): void {
    const answer = kept.get(key);
    if (answer === undefined) return;
    kept.delete(key);
    bytes -= sizeOf(key, answer);
  }

  return {
    find(key) {
      const answer = kept.get(key);
      if (answer === undefined) return undefined;
      kept.delete(key);
      kept.set(key, answer);
      return answer;
    },
    keep(key, message, keepable, now) {
      remove(key);
      if (message.length > maxMessageBytes) return;
      // Allocated separately, because a slice of Node's buffer pool would keep the whole pool.
      const copy = Buffer.allocUnsafeSlow(message.length);
      message.copy(copy);
      const answer: KeptAnswer = { ...keepable, message: copy, keptAt: now };
      kept.set(key, answer);
      bytes += sizeOf(key, answer);
      for (const oldest of kept.keys()) {
        if (bytes <= maxBytes) return;
        remove(oldest);
      }
    },
    remove,
    size: () => bytes,
  };
}
