import { setImmediate as nextTurn } from 'node:timers/promises';
import { createLines } from '../lines.ts';

/** Reads the output of a program that must never block on a full pipe. Its lines can be held back for a while. */
export interface HeldLines {
  take(chunk: Buffer): void;
  /** Keeps lines unread from now on. */
  hold(): void;
  /** Reads the kept lines in order, yielding to other work in between, and then the lines that follow. */
  release(): void;
}

/**
 * Parsing thousands of announcements takes as long as the change itself, but when they are not read from the pipe the
 * kernel drops them, because its buffer holds some 30,000. So they are read at once and parsed later.
 *
 * @param maxHeldBytes with more than this, lines are parsed even while they are held back
 */
export function createHeldLines(onLine: (line: string) => void, maxHeldBytes = 64 * 1024 * 1024): HeldLines {
  const lines = createLines(onLine);
  /** Taken out all at once: removing the first of thousands of chunks would move all others each time. */
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

/** Bytes of lines that are parsed before other work runs. */
const readAtOnce = 64 * 1024;
