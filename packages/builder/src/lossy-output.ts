import { fstatSync, type Stats, writeSync } from 'node:fs';
import { Socket } from 'node:net';

/** An output that never blocks a build, whether its reader reads, is slow, or is gone (docs/contract.md §7). */
export interface LossyOutput {
  /** Writes a line, or drops it when the reader is gone or too far behind. */
  write(line: string): void;
  /** Waits until the reader has read the rest, at most `timeoutMs` ms. */
  finish(timeoutMs: number): Promise<void>;
}

/** How much a reader may leave unread before lines are dropped, in bytes. */
const maxWaiting = 1 << 20;

/** Opens an output on a descriptor. Node's process.stdout would wait for the reader of a pipe. */
export function openLossyOutput(descriptor: number): LossyOutput {
  const stats = statsOf(descriptor);
  if (stats === undefined) return { write() {}, finish: () => Promise.resolve() };
  return stats.isFIFO() || stats.isSocket() ? toReader(descriptor) : toFile(descriptor);
}

function statsOf(descriptor: number): Stats | undefined {
  try {
    return fstatSync(descriptor);
  } catch {
    return undefined; // the descriptor was closed when the program started
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
  // The process does not stay for the reader; only `finish` waits.
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

/** Returns an output to a file or a terminal. */
function toFile(descriptor: number): LossyOutput {
  return {
    write(line) {
      try {
        writeSync(descriptor, line);
      } catch {
        // the disk is full, or the terminal is gone
      }
    },
    finish: () => Promise.resolve(),
  };
}
