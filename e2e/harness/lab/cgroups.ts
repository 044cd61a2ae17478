import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { eventually } from '../eventually.ts';
import type { Run } from './run.ts';

/** How this machine mounts its cgroups; hosts get the same layout. */
export interface CgroupLayout {
  /** `v2`: one hierarchy. `hybrid`: controllers on v1 hierarchies, with or without a v2 one. */
  kind: 'v2' | 'hybrid';
  hierarchies: Hierarchy[];
}

export interface Hierarchy {
  mountPoint: string;
  type: 'cgroup' | 'cgroup2';
  /** The options with which `mount -o` mounts the same hierarchy again; empty for v2. */
  options: string;
}

/** Reads the layout from the text of /proc/self/mountinfo; undefined when no cgroups are mounted. Pure. */
export function parseCgroupLayout(mountinfo: string): CgroupLayout | undefined {
  const hierarchies: Hierarchy[] = [];
  for (const line of mountinfo.split('\n')) {
    const [mount = '', filesystem = ''] = line.split(' - ');
    const mountPoint = mount.split(' ')[4] ?? '';
    const [type, , superOptions = ''] = filesystem.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') continue;
    if (mountPoint !== '/sys/fs/cgroup' && !mountPoint.startsWith('/sys/fs/cgroup/')) continue;
    hierarchies.push({ mountPoint, type, options: type === 'cgroup2' ? '' : v1Options(superOptions) });
  }
  if (hierarchies.length === 0) return undefined;
  return { kind: hierarchies.some(({ type }) => type === 'cgroup') ? 'hybrid' : 'v2', hierarchies };
}

/** Returns the options that identify the hierarchy, from `rw,cpu,cpuacct` or `rw,xattr,release_agent=/x,name=systemd`. */
function v1Options(superOptions: string): string {
  const naming = superOptions
    .split(',')
    .filter(option => !/^(rw|ro|xattr|noprefix|clone_children|release_agent=.*)$/.test(option));
  // The kernel requires `none` for a named hierarchy, which has no controllers.
  return naming.some(option => option.startsWith('name=')) ? ['none', ...naming].join(',') : naming.join(',');
}

export function readCgroupLayout(): CgroupLayout | undefined {
  return parseCgroupLayout(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** The cgroups of one host: `init` is the root for its systemd, `exec` contains what the harness runs there. */
export interface HostCgroups {
  init: string[];
  exec: string[];
}

/** Creates a host's cgroups in every hierarchy. */
export function createHostCgroups(layout: CgroupLayout, run: Run, host: string): HostCgroups {
  const folders: HostCgroups = { init: [], exec: [] };
  for (const { mountPoint, type } of layout.hierarchies) {
    const init = join(mountPoint, run.cgroup, host);
    // systemd removes cgroups that have a unit's name. It leaves this name alone.
    const exec = join(init, 'harness');
    for (const folder of [join(mountPoint, run.cgroup), init, exec]) {
      if (existsSync(folder)) continue;
      // Not for the host's root cgroup: the kernel forbids processes in a v2 cgroup that delegates controllers. The
      // host's systemd delegates them once it has moved itself into a child.
      if (type === 'cgroup2' && folder !== exec) enableControllers(join(folder, '..'));
      mkdirSync(folder);
      inheritCpuset(folder);
    }
    folders.init.push(init);
    folders.exec.push(exec);
  }
  return folders;
}

/** v2: a child has only the controllers that its parent delegates. */
function enableControllers(parent: string): void {
  const available = readFileSync(join(parent, 'cgroup.controllers'), 'utf8').split(/\s+/);
  for (const controller of ['cpu', 'cpuset', 'io', 'memory', 'pids'].filter(name =>
    available.includes(name),
  )) {
    try {
      writeFileSync(join(parent, 'cgroup.subtree_control'), `+${controller}`);
    } catch {
      // A controller that cannot be delegated here (cpu when real-time tasks exist) is missing on hosts too.
    }
  }
}

/** v1: a new cpuset is empty, and no process can join an empty one. */
function inheritCpuset(folder: string): void {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (existsSync(join(folder, 'cgroup.clone_children')) && existsSync(join(folder, file)))
      writeFileSync(join(folder, file), readFileSync(join(folder, '..', file)));
  }
}

/** Kills all processes in the named part of a run and removes its cgroups from every hierarchy. */
export async function removeCgroups(layout: CgroupLayout, run: Run, host = ''): Promise<void> {
  const roots = layout.hierarchies.map(({ mountPoint }) => join(mountPoint, run.cgroup, host));
  await eventually(
    `the processes of ${run.cgroup}/${host} to end and their cgroups to go`,
    () => {
      // Kills repeatedly: a process that forked between listing and kill is found in the next round.
      for (const root of roots) {
        for (const folder of foldersUnder(root)) {
          for (const pid of processesOf(folder)) kill(pid);
          removeFolder(folder);
        }
      }
      return roots.some(existsSync) ? undefined : true;
    },
    { timeoutMs: 10_000, everyMs: 10 },
  );
}

/** Returns the folder and everything below it, deepest first. */
function foldersUnder(root: string): string[] {
  try {
    const children = readdirSync(root, { withFileTypes: true }).filter(entry => entry.isDirectory());
    return [...children.flatMap(child => foldersUnder(join(root, basename(child.name)))), root];
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

function processesOf(folder: string): number[] {
  try {
    const pids = readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').map(Number);
    // 0 stands for a process in a pid namespace that is not visible here.
    return pids.filter(pid => pid > 0);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

function removeFolder(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    // EBUSY until the last process in it is reaped; the next round retries.
    if (!isGone(error) && !['EBUSY', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** ENODEV: the folder was removed while its file was open. */
function isGone(error: unknown): boolean {
  return ['ENOENT', 'ENODEV'].includes((error as NodeJS.ErrnoException).code ?? '');
}
