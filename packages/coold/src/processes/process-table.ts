import { readdir, readFile } from 'node:fs/promises';

/** A process of a container, as this process counts them. */
export interface ContainerProcess {
  pid: number;
  /** Its numbers in every PID namespace from ours on to its own. */
  nsPids: number[];
  /** The process that its session is named for; 0 when it is not to be seen from here. */
  session: number;
}

export interface ProcessTable {
  /**
   * Those alive in a cgroup whose path has this in it. Signalling them is a race with their end that only the kernel could
   * win.
   */
  inCgroup(part: string): Promise<ContainerProcess[]>;
}

interface Cgroup {
  pid: number;
  path: string;
}

/** Reads /proc. Callers that come while it is read share the next reading. */
export function createProcessTable(): ProcessTable {
  let reading: Promise<unknown> = Promise.resolve();
  let next: Promise<Cgroup[]> | undefined;
  const cgroups = () => {
    next ??= reading.then(() => {
      const now = readCgroups();
      next = undefined;
      reading = now.catch(() => {});
      return now;
    });
    return next;
  };
  return {
    async inCgroup(part) {
      const found = (await cgroups()).filter(({ path }) => path.includes(part));
      const processes = await Promise.all(found.map(({ pid }) => readProcess(pid)));
      return processes.filter(process => process !== undefined);
    },
  };
}

async function readCgroups(): Promise<Cgroup[]> {
  const found: Cgroup[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const path = await readOf(name, 'cgroup');
    if (path !== undefined) found.push({ pid: Number(name), path });
  }
  return found;
}

async function readProcess(pid: number): Promise<ContainerProcess | undefined> {
  const [stat, status] = await Promise.all([readOf(pid, 'stat'), readOf(pid, 'status')]);
  const numbers = /^NSpid:\s*(.+)$/m.exec(status ?? '')?.[1];
  // Behind the name, which may hold anything: state, parent, group, session.
  const [state = '', , , session] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  // A container's first process often does not take note of those that end below it: they stay, as names only.
  if (numbers === undefined || session === undefined || 'ZX'.includes(state)) return undefined;
  return { pid, nsPids: numbers.split(/\s+/).map(Number), session: Number(session) };
}

/** Undefined: it has ended. */
async function readOf(pid: number | string, file: string): Promise<string | undefined> {
  try {
    return await readFile(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return undefined;
  }
}

/** Of a container's own processes; that of the monitor beside them has another name in front. */
export function containerCgroup(containerId: string): string {
  return `libpod-${containerId}`;
}

/**
 * The process that Podman calls `pid`, out of those of one container. Podman may live in a PID namespace below ours, so
 * the number counts in any but the container's own.
 */
export function findByPodmanPid(
  processes: readonly ContainerProcess[],
  pid: number,
): ContainerProcess | undefined {
  return (
    processes.find(process => process.pid === pid) ??
    processes.find(({ nsPids }) => nsPids.slice(0, -1).includes(pid))
  );
}

/**
 * A program with what it started and did not send away: its session. That is its own where it has a terminal, else the one
 * of the monitor that Podman starts for each program; never that of the container's own first process.
 */
export function sessionOf(
  processes: readonly ContainerProcess[],
  leader: ContainerProcess,
): ContainerProcess[] {
  const isFirst = ({ nsPids }: ContainerProcess) => nsPids.at(-1) === 1;
  const apart =
    leader.session !== 0 &&
    !processes.some(process => isFirst(process) && process.session === leader.session);
  return processes.filter(
    process =>
      !isFirst(process) && (process.pid === leader.pid || (apart && process.session === leader.session)),
  );
}
