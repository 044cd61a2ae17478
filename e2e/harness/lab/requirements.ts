import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { HarnessError } from '../provider.ts';
import { type CgroupLayout, readCgroupLayout } from './cgroups.ts';

/** program → the Debian package that contains it */
const programs = {
  buildah: 'buildah',
  crun: 'crun',
  'dbus-daemon': 'dbus',
  git: 'git',
  ip: 'iproute2',
  iptables: 'iptables',
  journalctl: 'systemd',
  mount: 'mount',
  netavark: 'netavark',
  nft: 'nftables',
  nsenter: 'util-linux',
  podman: 'podman',
  setpriv: 'util-linux',
  sysctl: 'procps',
  wg: 'wireguard-tools',
  'wireguard-go': 'wireguard-go',
};

/** The machine that is checked; tests pass another one. */
export interface Machine {
  uid: number;
  path: string;
  tun: string;
  systemd: string;
  cgroups: CgroupLayout | undefined;
}

export function thisMachine(): Machine {
  return {
    uid: process.getuid?.() ?? -1,
    path: process.env['PATH'] ?? '',
    tun: '/dev/net/tun',
    systemd: '/lib/systemd/systemd',
    cgroups: readCgroupLayout(),
  };
}

/**
 * Checks that the machine can run hosts.
 *
 * @returns its cgroup layout
 * @throws HarnessError naming the first missing requirement
 */
export function checkRequirements(machine: Machine): CgroupLayout {
  if (machine.uid !== 0)
    throw new HarnessError('the lab needs root: it makes namespaces, mounts and cgroups (sudo npm …)');
  if (!isCharacterDevice(machine.tun))
    throw new HarnessError(
      `the lab needs ${machine.tun}, which is missing: WireGuard runs over it (modprobe tun)`,
    );
  // Debian installs some of these in folders that only root's login shell searches.
  const folders = [
    ...machine.path.split(delimiter),
    '/usr/sbin',
    '/usr/bin',
    '/usr/lib/podman',
    '/usr/libexec/podman',
  ];
  for (const [program, debianPackage] of Object.entries(programs)) {
    if (!folders.some(folder => isExecutable(join(folder, program))))
      throw new HarnessError(`the lab needs ${program}, which is missing: apt-get install ${debianPackage}`);
  }
  if (!isExecutable(machine.systemd))
    throw new HarnessError(`the lab needs ${machine.systemd}, which is missing: apt-get install systemd`);
  if (machine.cgroups === undefined)
    throw new HarnessError('the lab needs control groups: nothing is mounted at /sys/fs/cgroup');
  return machine.cgroups;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function isCharacterDevice(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isCharacterDevice() ?? false;
}
