import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { acquireFileLock } from '@coold/runtime';
import { eventually } from './eventually.ts';
import { defaultRootCache, suites } from './lab/root.ts';
import { system } from './lab/system.ts';
import { expectExec, type Host, type HostSystem } from './provider.ts';

/** A slow mirror takes minutes for a suite's lists, and again for a hundred megabytes of packages. */
const downloadTimeoutMs = 600_000;
const installTimeoutMs = 300_000;

/**
 * Installs Debian packages on a host, with their dependencies. Hosts of the lab reach no mirror, so this machine's apt
 * downloads them for the host's system and keeps them for the next run.
 *
 * @throws HarnessError
 */
export async function installPackages(
  host: Host,
  hostSystem: HostSystem,
  names: readonly string[],
): Promise<void> {
  const folder = '/var/tmp/packages';
  const files = await download(host, suites[hostSystem], names);
  const placed = files.map(file => ({ file, path: `${folder}/${basename(file)}` }));
  for (const { file, path } of placed) await host.put({ file }, path, 0o644);
  // Each package starts its services, as on any host; a root file system made for containers may forbid that.
  await expectExec(host, ['rm', '-f', '--', '/usr/sbin/policy-rc.d']);
  await expectExec(host, ['dpkg', '--install', ...placed.map(({ path }) => path)], {
    env: { DEBIAN_FRONTEND: 'noninteractive' },
    timeoutMs: installTimeoutMs,
  });
  await expectExec(host, ['rm', '-r', '--', folder]);
}

/** The packages' paths on this machine. */
async function download(host: Host, suite: string, names: readonly string[]): Promise<string[]> {
  const folder = join(defaultRootCache, `packages-${suite}`);
  await mkdir(folder, { recursive: true });
  const lock = await eventually(
    `another run to have the packages of ${suite}`,
    () => acquireFileLock(join(folder, '.lock')),
    { timeoutMs: downloadTimeoutMs, everyMs: 500 },
  );
  try {
    // apt keeps downloads and prints no names for them again, so each set of packages has a folder of its own.
    const archives = join(folder, 'archives', names.join('+'));
    const lists = join(folder, 'var/lib/apt/lists');
    const makeFolders = async () => {
      for (const part of [join(folder, 'etc/apt'), join(lists, 'partial'), join(archives, 'partial')])
        await mkdir(part, { recursive: true });
    };
    await makeFolders();
    const key = '/usr/share/keyrings/debian-archive-keyring.gpg';
    const source = `deb [signed-by=${key}] http://deb.debian.org/debian ${suite} main\n`;
    await writeFile(join(folder, 'etc/apt/sources.list'), source);
    const status = join(folder, 'status');
    await writeFile(status, await host.get('/var/lib/dpkg/status'));
    const apt = (...args: string[]) => {
      const settings = [
        ...[`Dir=${folder}`, `Dir::State::status=${status}`, `Dir::Cache::archives=${archives}`],
        ...['APT::Install-Recommends=false', 'APT::Sandbox::User=root', 'Acquire::Languages=none'],
      ];
      const options = settings.flatMap(setting => ['-o', setting]);
      return system('apt-get', [...options, '--quiet', ...args], { timeoutMs: downloadTimeoutMs });
    };
    const fetch = () => apt('--download-only', 'install', '--yes', '--', ...names);
    if (!(await readdir(lists)).some(name => name.endsWith('_Packages'))) await apt('update');
    await fetch().catch(async () => {
      // Kept lists may name versions that the mirror no longer has.
      await rm(archives, { recursive: true, force: true });
      await makeFolders();
      await apt('update');
      await fetch();
    });
    const files = (await readdir(archives)).filter(name => name.endsWith('.deb'));
    return files.map(name => join(archives, name));
  } finally {
    await lock.release();
  }
}
