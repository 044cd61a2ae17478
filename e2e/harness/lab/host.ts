import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ChildError, runChild } from '@coold/runtime';
import { bootedState } from '../booted.ts';
import { eventually } from '../eventually.ts';
import { type ExecOptions, type ExecResult, expectExec, HarnessError, type Host } from '../provider.ts';
import { getFile, putFile } from '../transfer.ts';
import { type CgroupLayout, createHostCgroups, type HostCgroups, removeCgroups } from './cgroups.ts';
import { type Power, script, switchOn, takesRequests } from './power.ts';
import type { Run } from './run.ts';
import { type Segment, underlayAddress } from './segment.ts';
import { system } from './system.ts';

/** Time limit for booting; a boot takes 1 to 3 s. */
const bootTimeoutMs = 60_000;
const rebootTimeoutMs = 60_000;

export interface LabHostOptions {
  name: string;
  /** Index of the host in its run; it determines address and cable. */
  number: number;
  run: Run;
  layout: CgroupLayout;
  segment: Segment;
  /** The folder with the host's programs; it is not written to. */
  root: string;
  /** A folder of this machine that the host sees at the same path. Its writes are visible only to itself. */
  share?: string;
  /** Size of its disk, as in `mount -t tmpfs -o size=`. Memory is used only as it fills. */
  diskSize: string;
}

/** A lab host, created switched off; `boot` starts it. */
export interface LabHost extends Host {
  /**
   * Returns the arguments to put before a command so that it runs on the host, in /root and with the host's
   * environment.
   *
   * @throws HarnessError when the host is off
   */
  enter(): readonly string[];
  /**
   * Returns the path of the host's root folder on this machine, also for its sockets.
   *
   * @throws HarnessError when the host is off
   */
  root(): string;
  /** Switches the host off for good; what it leaves is removed with the run. */
  discard(): Promise<void>;
}

export async function createLabHost(options: LabHostOptions): Promise<LabHost> {
  const { name, number, run, layout, segment, root, share, diskSize } = options;
  const folder = join(run.folder, name);
  const disk = join(folder, 'disk');
  mkdirSync(disk, { recursive: true });
  // The disk is mounted outside the host, so that it survives a power loss.
  await system('mount', ['-t', 'tmpfs', '-o', `mode=755,size=${diskSize}`, 'coold-lab', disk]);
  for (const part of ['up', 'work', 'root', 'containers', 'share-up', 'share-work'])
    mkdirSync(join(disk, part));

  let running: { power: Power; cgroups: HostCgroups } | undefined;
  let link: 'up' | 'down' = 'up';

  const current = () => {
    if (running === undefined || !running.power.isOn()) throw new HarnessError(`host ${name} is off`);
    return running;
  };

  const isOn = () => running?.power.isOn() ?? false;

  /** Sets the host's own environment: variables of this machine must not affect the scenario. */
  const enter = (env: Record<string, string> = {}) => {
    const assignments = Object.entries({ PATH: hostPath, HOME: '/root', LANG: 'C.UTF-8', ...env }).map(
      ([key, value]) => `${key}=${value}`,
    );
    const namespaces = ['nsenter', '--all', '--target', String(current().power.pid), '--'];
    return [...namespaces, 'env', '--chdir=/root', '-i', ...assignments];
  };

  const exec = async (argv: readonly string[], execOptions: ExecOptions = {}): Promise<ExecResult> => {
    const { cgroups } = current();
    const { input, timeoutMs = 60_000, env = {}, maxOutputBytes = 8 << 20 } = execOptions;
    try {
      const result = await runChild(
        script('in-cgroups.sh'),
        [...cgroups.exec, '--', ...enter(env), ...argv],
        { timeoutMs, maxOutputBytes, ...(input === undefined ? {} : { input }) },
      );
      return { code: result.code, stdout: result.stdout, stderr: result.stderr };
    } catch (error) {
      if (!(error instanceof ChildError)) throw error;
      const what = error.reason === 'timeout' ? `killed after ${timeoutMs} ms` : error.message;
      throw new HarnessError(`${name}: ${argv.join(' ')}: ${what}`, { cause: error });
    }
  };

  const switchOff = async () => {
    await running?.power.kill();
    running = undefined;
    await segment.unplug(number);
    await removeCgroups(layout, run, name);
  };

  const boot = async () => {
    if (isOn()) throw new HarnessError(`host ${name} is already on`);
    await switchOff(); // the remains of a host that went off by itself
    const cgroups = createHostCgroups(layout, run, name);
    const power = await switchOn({ name, folder, root, share, layout, cgroups, gateway: segment.gateway });
    running = { power, cgroups };
    const gone = power.ended.then((): never => {
      throw new HarnessError(`host ${name} did not start: ${power.lastWords()}`);
    });
    gone.catch(() => {});
    const plugIn = async () => {
      try {
        await segment.plug(number, power.pid);
        await segment.setLink(number, link);
      } catch (error) {
        // A host that is shutting down removes its end of the cable; its exit then explains the error.
        await Promise.race([gone, delay(1000)]);
        throw error;
      }
    };
    await plugIn();
    power.start();
    await Promise.race([finishedBooting(), gone]);
  };

  const finishedBooting = () =>
    eventually(
      `systemd of ${name} to finish booting`,
      async () => {
        if (!takesRequests(current().power.pid)) return undefined;
        return await bootedState({ name, exec }, bootTimeoutMs);
      },
      { timeoutMs: bootTimeoutMs, everyMs: 10 },
    );

  return {
    name,
    address: underlayAddress(number),
    enter: () => enter(),
    root: () => `/proc/${current().power.pid}/root`,
    exec,
    put: (source, remotePath, mode) => putFile({ name, exec }, source, remotePath, mode),
    get: remotePath => getFile({ name, exec }, remotePath),
    async journal(unit) {
      const args = [
        '--no-pager',
        '--output=short-precise',
        ...(unit === undefined ? [] : [`--unit=${unit}`]),
      ];
      const maxOutputBytes = 64 << 20;
      if (isOn()) return (await exec(['journalctl', ...args], { maxOutputBytes })).stdout;
      const journals = join(disk, 'up/var/log/journal');
      return await system('journalctl', [`--directory=${journals}`, ...args], { maxOutputBytes });
    },
    async cut() {
      link = 'down';
      if (isOn()) await segment.setLink(number, link);
    },
    async heal() {
      link = 'up';
      if (isOn()) await segment.setLink(number, link);
    },
    async crash() {
      current();
      await switchOff();
    },
    boot,
    async reboot() {
      const { power } = current();
      await expectExec({ name, exec }, ['systemctl', 'reboot']);
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(
          () => reject(new HarnessError(`host ${name} did not go down within ${rebootTimeoutMs} ms`)),
          rebootTimeoutMs,
        );
      });
      await Promise.race([power.ended, late]).finally(() => clearTimeout(timer));
      await switchOff();
      await boot();
    },
    discard: switchOff,
  };
}

const hostPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
