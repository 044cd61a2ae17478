import { readFileSync } from 'node:fs';
import type { Logger } from '../logs/logger.ts';
import { pause, untilAborted } from '../waits/pause.ts';
import { loadReturnMemory, type ReturnMemory } from './return-memory.ts';
import type { Task } from './tasks.ts';

/** The interval of checks, in ms. */
const defaultEveryMs = 5000;
/** A process is quiet when it used less than this share of one core since the last check, in percent. */
const quietPercent = 10;
/** How much memory must have grown since it was returned, so that it is returned again, in bytes. */
const worthBytes = 8 * 1024 * 1024;
/** A collection of a larger heap would hold up the program for too long; V8 collects such a heap in small steps. */
const largestHeapBytes = 64 * 1024 * 1024;
/** The page size on every machine that coold runs on, in bytes. */
const pageBytes = 4096;

/** The resident memory of a process, in bytes. */
export interface Resident {
  /** Anonymous memory: heap, stacks, C library. */
  own: number;
  /** Pages of programs, libraries and other files. */
  ofFiles: number;
}

export interface LeanOptions {
  log: Logger;
  /** The interval of checks, in ms. */
  everyMs?: number;
  /** This and the next ones are replaced in tests. */
  returnMemory?: ReturnMemory | undefined;
  /** Returns the CPU time that this process has used, in ms. */
  cpuMs?: () => number;
  resident?: () => Resident;
}

/**
 * Returns memory to the kernel once the program has started and is quiet, and again whenever it is quiet after it has
 * grown. When only pages of the program's file came back, as work that runs every minute brings them back, only those
 * are returned: a collection of the whole heap costs more than everything else in a quiet program. The task ends with
 * the program, also where memory cannot be returned.
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
    /** The resident memory at the check after a return: what the program needs all the time has come back by then. */
    const floor: Resident = { own: 0, ofFiles: 0 };
    /** What the last check returned. */
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
