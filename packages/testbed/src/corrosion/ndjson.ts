import type { ServerResponse } from 'node:http';

/** Bytes are lists of numbers on the wire, as Corrosion's are. */
function wireValue(this: unknown, _key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? [...value] : value;
}

export function toJson(value: unknown): string {
  return JSON.stringify(value, wireValue);
}

/** An answer of lines, one value each. A reader who is gone, or cut off, is written to without effect. */
export interface Lines {
  /** Writes what happens now; behind the values of `writeAll` while these are under way. */
  write(value: unknown): void;
  /** Writes as fast as the reader reads, however much it is. Not to be called again before it is done. */
  writeAll(values: Iterable<unknown>): Promise<void>;
}

/**
 * Who does not keep up is cut off: when more than `maxBacklog` bytes of `write` have piled up before the next one, or
 * when `writeAll` has waited for `stallMs`.
 */
export function ndjsonLines(res: ServerResponse, maxBacklog: number, stallMs = 10_000): Lines {
  const isOpen = () => !res.destroyed && !res.writableEnded;
  const lineOf = (value: unknown) => `${toJson(value)}\n`;
  let writingAll = false;
  let held: string[] = [];
  let heldBytes = 0;
  const writeSlowly = async (line: string) => {
    if (isOpen() && !res.write(line)) await drained(res, stallMs);
  };
  return {
    write(value) {
      if (!isOpen()) return;
      // While all are being written, what lies in `res` is theirs and has its own limit.
      if ((writingAll ? heldBytes : res.writableLength) > maxBacklog) {
        res.destroy();
        return;
      }
      const line = lineOf(value);
      if (!writingAll) {
        res.write(line);
        return;
      }
      held.push(line);
      heldBytes += Buffer.byteLength(line);
    },
    async writeAll(values) {
      writingAll = true;
      for (const value of values) {
        if (!isOpen()) break;
        await writeSlowly(lineOf(value));
      }
      while (held.length > 0) {
        const lines = held;
        held = [];
        for (const line of lines) {
          await writeSlowly(line);
          heldBytes -= Buffer.byteLength(line);
        }
      }
      writingAll = false;
    },
  };
}

/** Waits until all has been taken; cuts off a reader who takes too long. */
function drained(res: ServerResponse, stallMs: number): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(() => res.destroy(), stallMs);
    const done = () => {
      clearTimeout(timer);
      res.off('drain', done);
      res.off('close', done);
      resolve();
    };
    res.on('drain', done);
    res.on('close', done);
  });
}
