import { readFileSync } from 'node:fs';
import type { Logger } from '../logs/logger.ts';
import { pause, untilAborted } from '../waits/pause.ts';
import { loadReturnMemory, type ReturnMemory } from './return-memory.ts';
import type { Task } from './tasks.ts';

/** Between two looks, in ms. */
const defaultEveryMs = 5000;
/** A process is quiet that used less than this share of one core since the last look, in percent. */
const quietPercent = 10;
/** What has to have come since memory was returned, for it to be worth another time, in bytes. */
const worthBytes = 8 * 1024 * 1024;
/** With a larger heap, a collection of all of it would hold up what the program is there for; V8 collects it piece by piece. */
const largestHeapBytes = 64 * 1024 * 1024;
/** Pages are of this size on every machine that coold runs on. */
const pageBytes = 4096;

/** What a process has in memory, in bytes. */
export interface Resident {
  /** Shared with no file. */
  own: number;
  /** Of programs, libraries and other files. */
  ofFiles: number;
}

export interface LeanOptions {
  log: Logger;
  /** Between two looks, in ms. */
  everyMs?: number;
  /** Another only in tests, like the next ones. */
  returnMemory?: ReturnMemory | undefined;
  /** What this process has used of processors so far, in ms. */
  cpuMs?: () => number;
  resident?: () => Resident;
}

/**
 * Returns memory to the kernel once the program has started and is quiet, and again each time that it is quiet after it has
 * grown. Where only pages of the program came back, as what runs each minute brings them back, only those are returned: a
 * collection of the whole heap would cost more than everything else that a quiet program does. The task ends with the program,
 * also where memory cannot be returned.
 */
export function keepLean({
  log,
  everyMs = defaultEveryMs,
  returnMemory = loadReturnMemory(),
  cpuMs = ownCpuMs,
  resident = readResident,
}: LeanOptions): Task {
  return async signal => {
    if (returnMemory === undefined) return untilAborted(signal);
    /** What is resident when nothing more can be returned: what is needed all the time has come back. */
    const floor: Resident = { own: 0, ofFiles: 0 };
    /** What was returned at the last look. */
    let returned: 'nothing' | 'program' | 'everything' = 'nothing';
    let used = cpuMs();
    let since = performance.now();
    while (!signal.aborted) {
      await pause(everyMs, signal);
      const percent = ((cpuMs() - used) * 100) / (performance.now() - since);
      used = cpuMs();
      since = performance.now();
      if (signal.aborted || percent > quietPercent) continue;
      const now = resident();
      if (returned !== 'nothing') floor.ofFiles = now.ofFiles;
      if (returned === 'everything') floor.own = now.own;
      returned = 'nothing';
      if (now.own > floor.own + worthBytes && process.memoryUsage().heapUsed <= largestHeapBytes) {
        returned = 'everything';
        returnMemory.everything();
      } else if (now.ofFiles > floor.ofFiles + worthBytes) {
        returned = 'program';
        returnMemory.program();
      } else continue;
      log.debug(
        { returned, from: now.own + now.ofFiles, to: process.memoryUsage.rss() },
        'returned memory that is not used at present',
      );
    }
  };
}

function ownCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function readResident(): Resident {
  const [, all = 0, ofFiles = 0] = readFileSync('/proc/self/statm', 'latin1').split(' ').map(Number);
  return { own: (all - ofFiles) * pageBytes, ofFiles: ofFiles * pageBytes };
}
