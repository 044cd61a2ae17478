// Gives memory back to the kernel that this process does not use at present: garbage, what the C library keeps for later, and
// pages of Node's own program that were needed at start or under load.
import { readFileSync, readlinkSync } from 'node:fs';
import { queryObjects } from 'node:v8';
import { loadFfi, withoutWarning } from '../processes/load-ffi.ts';

/** From <asm-generic/mman-common.h>, the same on every kind of machine. */
const MADV_DONTNEED = 4;
/** Nothing is made of it: it is what the heap is searched for, which V8 does after a collection. */
class Nothing {}

/** A part of the address space. */
export interface Range {
  start: bigint;
  bytes: bigint;
}

/** What gives memory back to the kernel. */
export interface ReturnMemory {
  /** All that is not used. It takes as long as a collection of the whole heap, and some milliseconds more. */
  everything(): void;
  /**
   * Pages of the program's own file. It takes some milliseconds. What is needed again comes back by page faults, for the file
   * stays in the page cache.
   */
  program(): void;
}

/** Returns what gives memory back, or undefined where C cannot be called. */
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
    // Another C library than Debian's.
    return undefined;
  }
}

/**
 * Returns what of a program's file is mapped and as it is on disk, so that it may be dropped at any time. A part with a page
 * of its own, such as one that the linker has written addresses into, is left out: that page would be lost. So is what is
 * mapped a second time, as V8 does with a part of its code: it may end while it is dropped, and other memory take its place.
 *
 * @param smaps the text of /proc/self/smaps @param program the path of the file
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
