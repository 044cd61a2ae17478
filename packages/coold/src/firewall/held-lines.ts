import { setImmediate as nextTurn } from 'node:timers/promises';
import { createLines } from './lines.ts';

/** Lines of a program that must never wait for its reader; they can be held back for a while. */
export interface HeldLines {
  take(chunk: Buffer): void;
  /** What comes from now on is kept unread. */
  hold(): void;
  /** What was kept is read, in order and with other work in between, and what comes after it. */
  release(): void;
}

/**
 * Reading thousands of announcements takes the time of what makes them; not taking them has the kernel drop them, whose own
 * room is for some 30,000. So they are taken at once, and read later.
 *
 * @param maxHeldBytes from so much on they are read also while they are held back
 */
export function createHeldLines(onLine: (line: string) => void, maxHeldBytes = 64 * 1024 * 1024): HeldLines {
  const lines = createLines(onLine);
  /** Thousands, where each line comes by itself: taking the first out of an array moves all others each time. */
  let waiting: Buffer[] = [];
  let bytes = 0;
  let isHeld = false;
  let isReading = false;

  async function read(): Promise<void> {
    if (isReading) return;
    isReading = true;
    while (bytes > 0 && (!isHeld || bytes > maxHeldBytes)) {
      const chunks = waiting;
      [waiting, bytes] = [[], 0];
      const whole = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
      for (let at = 0; whole !== undefined && at < whole.length; at += readAtOnce) {
        if (at > 0) await nextTurn();
        lines.take(whole.subarray(at, at + readAtOnce));
      }
    }
    isReading = false;
  }

  return {
    take(chunk) {
      waiting.push(chunk);
      bytes += chunk.length;
      void read();
    },
    hold() {
      isHeld = true;
    },
    release() {
      isHeld = false;
      void read();
    },
  };
}

/** Bytes of lines that are read before other work has its turn. */
const readAtOnce = 64 * 1024;
