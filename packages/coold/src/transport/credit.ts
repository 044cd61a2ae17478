import { wholeCharacters } from '../podman/framer.ts';

/** The bytes that the reader allows to be sent (streaming.proto). One sender waits at a time. */
export interface Credit {
  /**
   * Spends credit on the beginning of `data`, at most `max` bytes and no partial character, as soon as there is credit.
   *
   * @returns how many bytes may be sent now, at least 1
   * @throws the signal's reason when it aborts first
   */
  spend(data: Uint8Array, max: number, signal: AbortSignal): Promise<number>;
  grant(bytes: bigint): void;
}

export function createCredit(initial: bigint): Credit {
  let left = toNumber(initial);
  // Bytes that the reader holds and has not granted again. While this is 0, no more credit will come.
  let unread = 0;
  let wake = () => {};
  return {
    async spend(data, max, signal) {
      for (;;) {
        signal.throwIfAborted();
        const room = Math.min(left, max);
        const whole = wholeCharacters(data, room);
        // When the window is smaller than a character, cutting the character is better than waiting forever.
        const size = whole === 0 && unread === 0 ? Math.min(room, data.length) : whole;
        if (size > 0) {
          left -= size;
          unread += size;
          return size;
        }
        const granted = new Promise<void>(resolve => {
          wake = resolve;
        });
        const onAbort = () => wake();
        signal.addEventListener('abort', onAbort, { once: true });
        await granted;
        signal.removeEventListener('abort', onAbort);
      }
    },
    grant(bytes) {
      const more = toNumber(bytes);
      left = Math.min(left + more, Number.MAX_SAFE_INTEGER);
      unread = Math.max(0, unread - more);
      wake();
    },
  };
}

/** Converts a number of bytes. One beyond the safe integers is capped: no stream is that long. */
function toNumber(bytes: bigint): number {
  return bytes > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(bytes);
}
