import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HarnessError } from '../provider.ts';
import type { CgroupLayout, HostCgroups } from './cgroups.ts';

/** A running host: its namespaces and the process that is PID 1 in them. */
export interface Power {
  /** PID 1's process id on this machine. */
  pid: number;
  /** Resolves when PID 1, and with it every process of the host, has ended for any reason. */
  ended: Promise<void>;
  /** Whether the host has not ended yet. */
  isOn(): boolean;
  /** Starts systemd, once the network is connected. */
  start(): void;
  /** Returns the output of start-up before systemd took over, on one line; empty on success. */
  lastWords(): string;
  /** Kills PID 1, with which the kernel kills the whole namespace. Resolves when all have ended. */
  kill(): Promise<void>;
}

/** Returns the path of a script beside this file. */
export const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/**
 * Creates a host's namespaces and mounts, without starting its systemd.
 *
 * @param folder the host's folder: it boots from `disk/`, and start-up writes to `console.log`
 * @param root the folder with its programs; the disk is laid over it
 * @param share a folder of this machine that the host sees too
 * @throws HarnessError with the output of start-up
 */
export async function switchOn(options: {
  name: string;
  folder: string;
  root: string;
  share: string | undefined;
  layout: CgroupLayout;
  cgroups: HostCgroups;
  gateway: string;
}): Promise<Power> {
  const { name, folder, root, share = '', layout, cgroups, gateway } = options;
  const consolePath = join(folder, 'console.log');
  const consoleLog = openSync(consolePath, 'w');
  // A host ends with the process that created it, even if that is killed: `setpriv` ties unshare to us, and
  // `--kill-child` ties PID 1 to unshare. The next run removes the remaining folder, mounts and segment.
  const child = spawn(
    script('in-cgroups.sh'),
    [
      ...cgroups.init,
      ...['--', 'setpriv', '--pdeathsig', 'KILL', 'unshare', '--kill-child=KILL', '--fork'],
      ...['--pid', '--mount', '--uts', '--ipc', '--net', '--cgroup', script('init.sh')],
    ],
    {
      detached: true,
      stdio: ['pipe', consoleLog, consoleLog, 'pipe'],
      env: {
        PATH: process.env['PATH'],
        LAB_NAME: name,
        LAB_GATEWAY: gateway,
        LAB_ROOT: root,
        LAB_SHARE: share,
        LAB_DISK: join(folder, 'disk'),
        LAB_KIND: layout.kind,
        LAB_CGROUPS: asInitReadsIt(layout),
        LAB_ULIMITS: containerUlimits(readFileSync('/proc/self/limits', 'utf8')),
      },
    },
  );
  closeSync(consoleLog);
  const lastWords = () => readFileSync(consolePath, 'utf8').trim().replaceAll('\n', ' | ').slice(-400);
  const ended = new Promise<void>(resolve => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });
  const [stdin, , , report] = child.stdio;
  if (stdin === null || report === null || report === undefined || !('read' in report))
    throw new HarnessError('no pipes to the host');
  stdin.on('error', () => {}); // failed start-up does not read its stdin; `ended` reports it
  const reported = new Promise<string>(resolve => report.once('data', chunk => resolve(String(chunk))));
  // unshare keeps the pipe open too, so only the end of the process shows a failure.
  const pid = Number(await Promise.race([reported, ended]));
  report.destroy();
  if (!(pid > 1)) {
    await ended;
    throw new HarnessError(`host ${name} did not start: ${lastWords()}`);
  }
  // unshare waits for PID 1, and we wait for unshare: while unshare lives, the pid cannot be reused.
  const isOn = () => child.exitCode === null && child.signalCode === null;
  return {
    pid,
    ended,
    isOn,
    lastWords,
    start: () => void stdin.end('start\n'),
    async kill() {
      if (isOn()) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
        }
      }
      await ended;
    },
  };
}

/** Whether systemd accepts requests: it opens this socket when it does. */
export function takesRequests(pid: number): boolean {
  return existsSync(`/proc/${pid}/root/run/systemd/private`);
}

/** Formats the layout as init.sh reads it: one hierarchy is mounted at /sys/fs/cgroup, several in folders of it. */
function asInitReadsIt({ kind, hierarchies }: CgroupLayout): string {
  return hierarchies
    .map(({ mountPoint, type, options }) => `${kind === 'v2' ? '' : basename(mountPoint)}:${type}:${options}`)
    .join(' ');
}

/** Returns the limits that containers may get without CAP_SYS_RESOURCE: at most the hard limits of this process. Pure. */
export function containerUlimits(procLimits: string): string {
  const hard = (row: string) => {
    const value = Number(new RegExp(`^${row}\\s+\\S+\\s+(\\d+)`, 'm').exec(procLimits)?.[1] ?? Number.NaN);
    return Math.min(Number.isNaN(value) ? 1_048_576 : value, 1_048_576);
  };
  const limits = { nofile: hard('Max open files'), nproc: hard('Max processes') };
  return Object.entries(limits)
    .map(([name, limit]) => `"${name}=${limit}:${limit}"`)
    .join(', ');
}
