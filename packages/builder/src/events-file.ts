import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';

/** events.ndjson. It holds complete lines only, whatever happens to the disk or to this process. */
export interface EventsFile {
  /** Appends one line, or nothing when the disk is full. Never throws. */
  append(line: string): void;
  close(): void;
}

/** Opens or creates the file, and removes an incomplete line that a killed process left. @throws Error */
export function openEventsFile(path: string): EventsFile {
  const { O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
  const file = openSync(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
  fchmodSync(file, 0o600);
  let size = wholeLines(file);
  ftruncateSync(file, size);
  return {
    append(line) {
      const bytes = Buffer.from(line);
      let written = 0;
      try {
        written = writeSync(file, bytes);
      } catch {
        // The disk is full. Losing progress is better than failing the build, and the outcome has its own file.
      }
      if (written === bytes.length) size += written;
      else truncateQuietly(file, size);
    },
    close: () => closeSync(file),
  };
}

function truncateQuietly(file: number, size: number): void {
  try {
    ftruncateSync(file, size);
  } catch {
    // The disk fails altogether. Readers ignore an incomplete line.
  }
}

/** Returns the size of the file up to the end of its last complete line, in bytes. */
function wholeLines(file: number): number {
  const block = Buffer.alloc(1 << 16);
  for (let end = fstatSync(file).size; end > 0; ) {
    const start = Math.max(0, end - block.length);
    const read = readSync(file, block, 0, end - start, start);
    const newline = block.subarray(0, read).lastIndexOf(0x0a);
    if (newline >= 0) return start + newline + 1;
    end = start;
  }
  return 0;
}
