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

/** events.ndjson: whole lines, whatever happens to the disk or to this process. */
export interface EventsFile {
  /** Appends one line, or nothing at all where there is no room for it. */
  append(line: string): void;
  close(): void;
}

/** Opens the file, or makes it; of a line that a killed process left unfinished nothing stays. @throws Error */
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
        // A full disk: progress is worth less than the build. The outcome has a file of its own.
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
    // A disk that fails altogether; readers leave out a line without an end.
  }
}

/** Bytes up to the end of the last line that has one. */
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
