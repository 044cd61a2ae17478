import { fstatSync, type Stats, writeSync } from 'node:fs';
import { Socket } from 'node:net';

/** Somebody may be reading, or not, or no longer: a build goes on as if it did not matter (docs/contract.md §7). */
export interface LossyOutput {
  /** Writes it, or drops it when the reader is gone or too far behind. */
  write(line: string): void;
  /** Gives the reader that long for the rest, in ms. */
  finish(timeoutMs: number): Promise<void>;
}

/** What a slow reader may leave unread before lines are dropped, in bytes. */
const maxWaiting = 1 << 20;

/** Node's own stdout waits for the reader of a pipe, so this takes the descriptor itself. */
export function openLossyOutput(descriptor: number): LossyOutput {
  const stats = statsOf(descriptor);
  if (stats === undefined) return { write() {}, finish: () => Promise.resolve() };
  return stats.isFIFO() || stats.isSocket() ? toReader(descriptor) : toFile(descriptor);
}

function statsOf(descriptor: number): Stats | undefined {
  try {
    return fstatSync(descriptor);
  } catch {
    return undefined; // started with it closed
  }
}

function toReader(descriptor: number): LossyOutput {
  const socket = new Socket({ fd: descriptor, readable: false, writable: true });
  let gone = false;
  const leave = () => {
    gone = true;
    socket.destroy();
  };
  socket.on('error', leave);
  socket.on('close', leave);
  // Nothing but a last line keeps the process for the reader's sake.
  socket.unref();
  return {
    write(line) {
      if (gone || socket.writableLength + line.length > maxWaiting) return;
      socket.write(line);
    },
    finish(timeoutMs) {
      if (gone || socket.writableLength === 0) return Promise.resolve();
      return new Promise(resolve => {
        const done = () => {
          clearTimeout(timer);
          resolve();
        };
        const timer = setTimeout(done, timeoutMs);
        socket.once('close', done);
        socket.end(done);
      });
    },
  };
}

/** A file, or a terminal. */
function toFile(descriptor: number): LossyOutput {
  return {
    write(line) {
      try {
        writeSync(descriptor, line);
      } catch {
        // no room, or no terminal any more
      }
    },
    finish: () => Promise.resolve(),
  };
}
