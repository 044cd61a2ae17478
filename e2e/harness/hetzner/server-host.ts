import { mkdirSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bootedState } from '../booted.ts';
import { eventually } from '../eventually.ts';
import { system } from '../lab/system.ts';
import { type ExecOptions, expectExec, HarnessError, type Host } from '../provider.ts';
import { getFile, putFile } from '../transfer.ts';
import type { HetznerApi } from './api.ts';
import { deviceOf, partitionRules, rulesPath, rulesTable } from './partition.ts';
import { prepareHost } from './prepare.ts';
import type { Ssh } from './ssh.ts';

/** Time limits, in ms. */
export interface HostPace {
  /** From the server's start until sshd answers. */
  reachableMs: number;
  /** Until systemd has finished booting; the first boot includes cloud-init. */
  bootMs: number;
}

export const defaultHostPace: HostPace = { reachableMs: 180_000, bootMs: 300_000 };

/** For a file transfer: a package has about 100 MB, and the line may be slow. */
const transferMs = 600_000;

export interface ServerHostOptions {
  name: string;
  server: { id: number; address: string };
  api: Pick<HetznerApi, 'powerOff' | 'powerOn'>;
  ssh: Ssh;
  /** A private folder of the run, for the journal of a host that is off. */
  folder: string;
  pace: HostPace;
}

/** A host that is a Hetzner Cloud server. */
export interface ServerHost extends Host {
  /** Waits for a new server and prepares it as a host. */
  prepare(): Promise<void>;
  disconnect(): Promise<void>;
}

export function createServerHost(options: ServerHostOptions): ServerHost {
  const { name, server, api, ssh, folder, pace } = options;
  const { address } = server;
  let state: 'on' | 'off' = 'on';
  let link: 'up' | 'down' = 'up';
  /** Path on this machine of the journal from before the crash. */
  let kept: string | undefined;

  const exec = (argv: readonly [string, ...string[]], execOptions?: ExecOptions) => {
    if (state === 'off') return Promise.reject(new HarnessError(`host ${name} is off`));
    return ssh.exec(argv, execOptions);
  };
  const self = { name, exec };

  const up = async () => {
    await ssh.reachable(pace.reachableMs);
    await eventually(`systemd of ${name} to finish booting`, () => bootedState(self, pace.bootMs), {
      timeoutMs: pace.bootMs,
      everyMs: 200,
    });
  };

  /** Returns a value that changes with every boot. */
  const bootMark = async () => {
    const timestamps = ['UserspaceTimestamp', 'UserspaceTimestampMonotonic'];
    return await expectExec(self, ['systemctl', 'show', `--property=${timestamps.join(',')}`]);
  };

  const applyLink = async () => {
    if (link === 'up') {
      await expectExec(self, ['rm', '-f', '--', rulesPath]);
      await expectExec(self, ['nft', '-f', '-'], {
        input: `table inet ${rulesTable} {}\ndelete table inet ${rulesTable}\n`,
      });
      return;
    }
    const seen = await ssh.seenFrom();
    const device = deviceOf(await expectExec(self, ['ip', '-json', 'route', 'get', seen.address]));
    if (device === undefined) throw new HarnessError(`${name}: no device leads to ${seen.address}`);
    await putFile(self, partitionRules(device, seen.address, seen.port), rulesPath, 0o600);
    await expectExec(self, ['nft', '-f', rulesPath]);
  };

  /** Fetches the journal before the server goes off, because its disk is unreachable then. */
  const keepJournal = async () => {
    kept = undefined;
    try {
      await expectExec(self, ['journalctl', '--sync'], { timeoutMs: 10_000 });
      const packed = '/var/tmp/coolify-e2e-journal.tar.gz';
      // tar exits with 1 when a file has grown meanwhile, as journals do.
      const { code } = await exec(
        ['tar', '--create', '--gzip', '--file', packed, '--directory', '/var/log', '--', 'journal'],
        { timeoutMs: transferMs },
      );
      if (code !== 0 && code !== 1) return;
      const archive = await getFile(self, packed, transferMs);
      const into = await mkdtemp(join(folder, `${name}-journal-`));
      await writeFile(join(into, 'archive'), archive);
      await system('tar', [
        '--extract',
        '--no-same-owner',
        '--file',
        join(into, 'archive'),
        '--directory',
        into,
      ]);
      kept = join(into, 'journal');
    } catch {
      // The power has to be cut also when the host is too broken to send its journal.
    }
  };

  const boot = async () => {
    if (state === 'on') throw new HarnessError(`host ${name} is already on`);
    await api.powerOn(server.id);
    state = 'on';
    await up();
    // A change of the link made while the host was off is applied now.
    await applyLink();
  };

  mkdirSync(folder, { recursive: true });
  return {
    name,
    address,
    exec,
    put: (source, remotePath, mode) => putFile(self, source, remotePath, mode, transferMs),
    get: remotePath => getFile(self, remotePath, transferMs),
    async journal(unit) {
      const args = [
        '--no-pager',
        '--output=short-precise',
        ...(unit === undefined ? [] : [`--unit=${unit}`]),
      ];
      const maxOutputBytes = 64 << 20;
      if (state === 'on') return (await exec(['journalctl', ...args], { maxOutputBytes })).stdout;
      if (kept === undefined)
        throw new HarnessError(`host ${name} is off, and its journal could not be fetched before`);
      return await system('journalctl', [`--directory=${kept}`, ...args], { maxOutputBytes });
    },
    async cut() {
      link = 'down';
      if (state === 'on') await applyLink();
    },
    async heal() {
      link = 'up';
      if (state === 'on') await applyLink();
    },
    async crash() {
      if (state === 'off') throw new HarnessError(`host ${name} is off`);
      await keepJournal();
      state = 'off';
      await api.powerOff(server.id);
      await ssh.disconnect();
    },
    boot,
    async reboot() {
      const before = await bootMark();
      // The connection may close before the exit code arrives.
      await exec(['systemctl', 'reboot'], { timeoutMs: 10_000 }).catch((error: unknown) => {
        if (!(error instanceof HarnessError)) throw error;
      });
      await ssh.disconnect();
      await eventually(
        `${name} to reboot`,
        async () => {
          await ssh.reachable(pace.reachableMs);
          const now = await bootMark().catch(() => before);
          if (now !== before) return true;
          await ssh.disconnect();
          return undefined;
        },
        { timeoutMs: pace.bootMs, everyMs: 250 },
      );
      await up();
    },
    async prepare() {
      await up();
      await prepareHost({ ...self, put: (source, path, mode) => putFile(self, source, path, mode) });
      // Settings of sshd apply only to new connections.
      await ssh.disconnect();
      await ssh.reachable(pace.reachableMs);
    },
    disconnect: ssh.disconnect,
  };
}
