// Returns memory to the kernel that this process does not use at present: garbage, memory that the C library keeps for
// later, and pages of Node's program that were needed at start or under load.
import { readFileSync, readlinkSync } from 'node:fs';
import { queryObjects } from 'node:v8';
import { loadFfi, withoutWarning } from '../processes/load-ffi.ts';

/** From <asm-generic/mman-common.h>, the same on every architecture. */
const MADV_DONTNEED = 4;
/** Never instantiated. Searching the heap for its instances makes V8 collect the whole heap first. */
class Nothing {}

/** A range of the address space. */
export interface Range {
  start: bigint;
  bytes: bigint;
}

/** Returns memory to the kernel. */
export interface ReturnMemory {
  /** Returns all that is not used. It takes as long as a collection of the whole heap, and some milliseconds more. */
  everything(): void;
  /**
   * Returns pages of the program's own file. It takes some milliseconds. Pages that are needed again come back by page
   * faults, because the file stays in the page cache.
   */
  program(): void;
}

/** Returns undefined where C cannot be called. */
export function loadReturnMemory(): ReturnMemory | undefined {
  const ffi = loadFfi();
  if (ffi === undefined) return undefined;
  try {
    const { functions } = ffi.dlopen(null, {
      malloc_trim: { arguments: ['uint64'], return: 'int32' },
      madvise: { arguments: ['uint64', 'uint64', 'int32'], return: 'int32' },
    });
    const program = () => {
      const path = readlinkSync('/proc/self/exe');
      for (const { start, bytes } of cleanRanges(readFileSync('/proc/self/smaps', 'latin1'), path))
        functions.madvise(start, bytes, MADV_DONTNEED);
    };
    return {
      program,
      everything() {
        withoutWarning(() => queryObjects(Nothing, { format: 'count' }));
        functions.malloc_trim(0n);
        program();
      },
    };
  } catch {
    // A C library other than Debian's.
    return undefined;
  }
}

/**
 * Returns the mapped ranges of a program's file whose pages are all as on disk, so that they may be dropped at any time.
 * A range with a page of its own, such as one that the linker has written addresses into, is left out: that page would
 * be lost. So is a range that is mapped a second time, as V8 does with a part of its code: it may be unmapped meanwhile,
 * and other memory may take its place.
 *
 * @param smaps the text of /proc/self/smaps
 * @param program the path of the file
 */
export function cleanRanges(smaps: string, program: string): Range[] {
  const ranges: Range[] = [];
  const seen: { offset: bigint; end: bigint }[] = [];
  let current: Range | undefined;
  for (const line of smaps.split('\n')) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) \S+ \d+ +(.*)$/.exec(line);
    if (head !== null) {
      const [start, end, offset] = [head[1], head[2], head[4]].map(hex => BigInt(`0x${hex}`));
      current = undefined;
      if (start === undefined || end === undefined || offset === undefined || head[5] !== program) continue;
      const bytes = end - start;
      const isAgain = seen.some(one => offset >= one.offset && offset < one.end);
      seen.push({ offset, end: offset + bytes });
      if (!isAgain && head[3]?.startsWith('r-') === true) current = { start, bytes };
    } else if (current !== undefined && /^Anonymous: +0 kB$/.test(line)) {
      ranges.push(current);
      current = undefined;
    }
  }
  return ranges;
}
