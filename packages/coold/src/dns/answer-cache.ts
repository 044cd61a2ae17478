import type { KeepableAnswer } from './keepable-answer.ts';

/** An answer as it came, and when. */
export interface KeptAnswer extends KeepableAnswer {
  message: Buffer;
  /** ms */
  keptAt: number;
}

/** Answers by what their questions have in common, within so many bytes: the one that was not asked for longest goes first. */
export interface AnswerCache {
  /** Also one that has run out: who asks sees to that. */
  find(key: string): KeptAnswer | undefined;
  /** @param message is copied @param now ms */
  keep(key: string, message: Buffer, keepable: KeepableAnswer, now: number): void;
  remove(key: string): void;
  /** Bytes, as far as they are counted. */
  size(): number;
}

/** What one takes beside its key and its message, in bytes: measured, and rounded up. */
const overheadBytes = 400;
/** Larger ones are rare, and one would take the place of many. */
const maxMessageBytes = 4096;

export function createAnswerCache(maxBytes: number): AnswerCache {
  /** In the order in which they were last asked for. */
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
      // Of its own: a slice of Node's pool would keep all of the pool.
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
