import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HarnessError } from '../provider.ts';

/**
 * One run of the lab. Everything that it creates outside of its own process (folder, network namespace, cgroups) has
 * its name, so that another process can find and remove it when the owner was killed.
 */
export interface Run {
  /** `<owner's pid>-<owner's start time>-<random>`: shows whether the owner still lives. */
  id: string;
  folder: string;
  /** Name of the network namespace with the run's segment. */
  segment: string;
  /** Name of the run's folder in every cgroup hierarchy. */
  cgroup: string;
}

/** The folder that lists runs. */
export const defaultRunRoot = '/run/coold-lab';

function runOf(root: string, id: string): Run {
  return { id, folder: join(root, id), segment: `coold-lab-${id}`, cgroup: `coold-lab-${id}` };
}

/** Claims a new run by creating its folder. The folder's name contains the owner, so an unowned run never exists. */
export function createRun(root: string): Run {
  const start = processStart(process.pid);
  if (start === undefined) throw new HarnessError('/proc does not know this process: is /proc mounted?');
  const run = runOf(root, `${process.pid}-${start}-${randomBytes(3).toString('hex')}`);
  mkdirSync(run.folder, { recursive: true, mode: 0o700 });
  return run;
}

/** Returns the runs whose owner no longer lives. */
export function deadRuns(root: string): Run[] {
  return entries(root)
    .filter(id => {
      const match = /^(\d+)-(\d+)-[0-9a-f]+$/.exec(id);
      return match !== null && processStart(Number(match[1])) !== match[2];
    })
    .map(id => runOf(root, id));
}

/** Returns the start time in clock ticks since boot. Pids are reused; pid and start time together identify a process. */
function processStart(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The program's name is second, in parentheses, and may itself contain spaces and parentheses.
    const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? undefined : rest[18];
  } catch {
    return undefined;
  }
}

function entries(root: string): string[] {
  try {
    return readdirSync(root);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
