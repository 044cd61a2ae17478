import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
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

/** How long a host may take to boot before it is given up; it takes 1 to 3 s. */
const bootTimeoutMs = 60_000;
const rebootTimeoutMs = 60_000;

export interface LabHostOptions {
  name: string;
  /** Counts the run's hosts from 0; address and cable follow from it. */
  number: number;
  run: Run;
  layout: CgroupLayout;
  segment: Segment;
  /** The folder whose programs it runs; it is not written to. */
  root: string;
  /** A folder of this machine that it sees at the same path, and writes to for itself alone. */
  share?: string;
  /** Size of its disk, as `mount -t tmpfs -o size=` takes it; memory is taken only as it fills. */
  diskSize: string;
}

/** A host of the lab, switched off; `boot` is what makes it one. */
export interface LabHost extends Host {
  /** Switched off for good; what it has left is removed with the run. */
  discard(): Promise<void>;
}

export async function createLabHost(options: LabHostOptions): Promise<LabHost> {
  const { name, number, run, layout, segment, root, share, diskSize } = options;
  const folder = join(run.folder, name);
  const disk = join(folder, 'disk');
  mkdirSync(disk, { recursive: true });
  // Held outside of the host, so that it is there again when the host has lost its power.
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

  const exec = async (argv: readonly string[], execOptions: ExecOptions = {}): Promise<ExecResult> => {
    const { power, cgroups } = current();
    const { input, timeoutMs = 60_000, env = {}, maxOutputBytes = 8 << 20 } = execOptions;
    // An environment of the host's own: what the machine's caller exports is not part of the scenario.
    const assignments = Object.entries({ PATH: hostPath, HOME: '/root', LANG: 'C.UTF-8', ...env }).map(
      ([key, value]) => `${key}=${value}`,
    );
    const enter = ['nsenter', '--all', '--target', String(power.pid), '--'];
    try {
      const result = await runChild(
        script('in-cgroups.sh'),
        [...cgroups.exec, '--', ...enter, 'env', '--chdir=/root', '-i', ...assignments, ...argv],
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
    await switchOff(); // of one that went off by itself, what is left goes now
    const cgroups = createHostCgroups(layout, run, name);
    const power = await switchOn({ name, folder, root, share, layout, cgroups, gateway: segment.gateway });
    running = { power, cgroups };
    await segment.plug(number, power.pid);
    await segment.setLink(number, link);
    power.start();
    const gone = power.ended.then((): never => {
      throw new HarnessError(`host ${name} did not start: ${power.lastWords()}`);
    });
    gone.catch(() => {});
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
