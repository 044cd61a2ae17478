import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HarnessError } from '../provider.ts';
import type { CgroupLayout, HostCgroups } from './cgroups.ts';

/** A host that is switched on: its namespaces and the process that is PID 1 in them. */
export interface Power {
  /** PID 1 as the machine numbers it. */
  pid: number;
  /** Resolves when PID 1 and with it every process of the host has ended, by whatever cause. */
  ended: Promise<void>;
  /** Not ended yet. */
  isOn(): boolean;
  /** Lets systemd start, once the network is plugged in. */
  start(): void;
  /** What start-up said before systemd took over, on one line; empty when all went well. */
  lastWords(): string;
  /** Kills PID 1, and the kernel the rest of its namespace with it; resolves when they have ended. */
  kill(): Promise<void>;
}

/** A script beside this file. */
export const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/**
 * Makes a host's namespaces and mounts, and stops short of starting its systemd.
 *
 * @param folder the host's: `disk/` is what it boots from, `console.log` takes what start-up says
 * @param root what its programs are; the disk is laid over it
 * @param share a folder of this machine that it sees, too
 * @throws HarnessError with what start-up said
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
  // A host ends with the process that made it, even one that is killed: `setpriv` ties unshare to us, `--kill-child` ties
  // PID 1 to unshare. What then is left (folder, mounts, segment) is for the next run to remove.
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
  stdin.on('error', () => {}); // start-up that has failed does not read; `ended` tells
  const reported = new Promise<string>(resolve => report.once('data', chunk => resolve(String(chunk))));
  // unshare holds the pipe open too, so its end is no sign; the end of the process is.
  const pid = Number(await Promise.race([reported, ended]));
  report.destroy();
  if (!(pid > 1)) {
    await ended;
    throw new HarnessError(`host ${name} did not start: ${lastWords()}`);
  }
  // unshare waits for PID 1, and we for unshare: while it lives, the pid cannot have become somebody else's.
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

/** systemd opens this socket when it begins to take requests. */
export function takesRequests(pid: number): boolean {
  return existsSync(`/proc/${pid}/root/run/systemd/private`);
}

/** As init.sh mounts them: of one tree at /sys/fs/cgroup itself, of many each in a folder of it. */
function asInitReadsIt({ kind, hierarchies }: CgroupLayout): string {
  return hierarchies
    .map(({ mountPoint, type, options }) => `${kind === 'v2' ? '' : basename(mountPoint)}:${type}:${options}`)
    .join(' ');
}

/** What containers may be given where CAP_SYS_RESOURCE is missing: no more than the hard limits of this process. Pure. */
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
