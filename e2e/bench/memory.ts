import { readFile } from 'node:fs/promises';
import { setInterval as every } from 'node:timers/promises';

/** Returns the resident memory of a process, in MB of 10^6 bytes. */
export async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kib === undefined) throw new Error(`process ${pid} has no VmRSS`);
  return (Number(kib) * 1024) / 1e6;
}

/**
 * Returns the memory that a process shares with no file and no other process, in MB of 10^6 bytes. The pages of
 * programs and libraries are not included.
 */
export async function ownMb(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kib = /^Private_Dirty:\s+(\d+) kB$/m.exec(rollup)?.[1];
  if (kib === undefined) throw new Error(`process ${pid} has no memory of its own`);
  return (Number(kib) * 1024) / 1e6;
}

/** Returns the peak resident memory of each process while `work` runs, sampled ten times a second. */
export async function peakMb(pids: readonly number[], work: Promise<void>): Promise<number[]> {
  const stop = new AbortController();
  const peaks = pids.map(() => 0);
  const watch = async () => {
    for await (const _ of every(100, undefined, { signal: stop.signal }))
      for (const [index, pid] of pids.entries())
        peaks[index] = Math.max(peaks[index] ?? 0, await residentMb(pid));
  };
  const watching = watch().catch((error: Error) => {
    if (error.name !== 'AbortError') throw error;
  });
  try {
    await work;
  } finally {
    stop.abort();
  }
  await watching;
  return peaks;
}
