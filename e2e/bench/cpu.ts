import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** The kernel's clock ticks are hundredths of a second on every Linux that Node runs on. */
const tickMs = 10;

/** Share of one core that a process uses over a time, in percent. */
export async function cpuPercent(pid: number, durationMs: number): Promise<number> {
  const before = await cpuMs(pid);
  const begun = performance.now();
  await delay(durationMs);
  return (((await cpuMs(pid)) - before) / (performance.now() - begun)) * 100;
}

async function cpuMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
}
