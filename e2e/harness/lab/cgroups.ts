import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { eventually } from '../eventually.ts';
import type { Run } from './run.ts';

/** How this machine arranges control groups; a host is given the same arrangement. */
export interface CgroupLayout {
  /** `v2`: one tree. `hybrid`: the controllers on v1 trees, v2 beside them or not at all. */
  kind: 'v2' | 'hybrid';
  hierarchies: Hierarchy[];
}

export interface Hierarchy {
  mountPoint: string;
  type: 'cgroup' | 'cgroup2';
  /** What `mount -o` needs to make the same hierarchy appear again; empty for v2. */
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

/** Of `rw,cpu,cpuacct` or `rw,xattr,release_agent=/x,name=systemd`, the part that names the hierarchy. */
function v1Options(superOptions: string): string {
  const naming = superOptions
    .split(',')
    .filter(option => !/^(rw|ro|xattr|noprefix|clone_children|release_agent=.*)$/.test(option));
  // A named hierarchy has no controllers, which `none` states; the kernel asks for it.
  return naming.some(option => option.startsWith('name=')) ? ['none', ...naming].join(',') : naming.join(',');
}

export function readCgroupLayout(): CgroupLayout | undefined {
  return parseCgroupLayout(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** The folders of one host: `init` becomes the root that its systemd sees, `exec` holds what the harness runs there. */
export interface HostCgroups {
  init: string[];
  exec: string[];
}

/** Makes a host's folders in every hierarchy. */
export function createHostCgroups(layout: CgroupLayout, run: Run, host: string): HostCgroups {
  const folders: HostCgroups = { init: [], exec: [] };
  for (const { mountPoint, type } of layout.hierarchies) {
    const init = join(mountPoint, run.cgroup, host);
    // A name of its own: systemd removes what it knows as a unit's, and leaves this alone.
    const exec = join(init, 'harness');
    for (const folder of [join(mountPoint, run.cgroup), init, exec]) {
      if (existsSync(folder)) continue;
      // Not those of the host's own root: the kernel lets no process into a v2 folder that hands controllers down, and
      // systemd does it once it has moved out of the way.
      if (type === 'cgroup2' && folder !== exec) enableControllers(join(folder, '..'));
      mkdirSync(folder);
      inheritCpuset(folder);
    }
    folders.init.push(init);
    folders.exec.push(exec);
  }
  return folders;
}

/** v2: a child has only the controllers that its parent hands down. */
function enableControllers(parent: string): void {
  const available = readFileSync(join(parent, 'cgroup.controllers'), 'utf8').split(/\s+/);
  for (const controller of ['cpu', 'cpuset', 'io', 'memory', 'pids'].filter(name =>
    available.includes(name),
  )) {
    try {
      writeFileSync(join(parent, 'cgroup.subtree_control'), `+${controller}`);
    } catch {
      // One that cannot be handed down here (cpu with real-time tasks around) is one that hosts do without.
    }
  }
}

/** v1: a new cpuset is empty, and an empty one takes no process. */
function inheritCpuset(folder: string): void {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (existsSync(join(folder, 'cgroup.clone_children')) && existsSync(join(folder, file)))
      writeFileSync(join(folder, file), readFileSync(join(folder, '..', file)));
  }
}

/** Kills what lives in the named part of a run and removes its folders from every hierarchy. */
export async function removeCgroups(layout: CgroupLayout, run: Run, host = ''): Promise<void> {
  const roots = layout.hierarchies.map(({ mountPoint }) => join(mountPoint, run.cgroup, host));
  await eventually(
    `the processes of ${run.cgroup}/${host} to end and their cgroups to go`,
    () => {
      // Killed again each time: what forked between the listing and the kill is found by the next round.
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

/** The folder and all below it, deepest first. */
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
    // 0 stands for a process of a pid namespace that is not visible from here.
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
    // Busy until the last process in it is reaped: the next round tries again.
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
