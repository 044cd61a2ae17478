import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** The length of a kernel clock tick: 10 ms on every Linux that Node runs on. */
const tickMs = 10;

/** Returns the share of one core that a process uses over `durationMs`, in percent. */
export async function cpuPercent(pid: number, durationMs: number): Promise<number> {
  const before = await cpuMs(pid);
  const begun = performance.now();
  await delay(durationMs);
  return (((await cpuMs(pid)) - before) / (performance.now() - begun)) * 100;
}

/** Returns the user and system time that a process has used so far, in ms. */
export async function cpuMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
}
