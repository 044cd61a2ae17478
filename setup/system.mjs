// What the machine itself must bring: Debian, root, and Debian's own packages. Runs on the Node a fresh
// machine has (20 or newer), before anything of this repository is installed.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** Debian packages each task needs; `npm test` needs what quickstart needs, and more. */
export const quickstartPackages = [
  'busybox-static',
  'ca-certificates',
  'conmon',
  'crun',
  'iproute2',
  'iptables',
  'mount',
  'netavark',
  'nftables',
  'podman',
  'util-linux',
];
/** Made smaller and independent of the machine: the runtime inside the installable package. */
export const packagingPackages = ['binutils', 'libatomic1', 'patchelf'];
export const testPackages = [
  ...quickstartPackages,
  ...packagingPackages,
  'bind9-dnsutils',
  'buildah',
  'catatonit',
  'conntrack',
  'curl',
  'dbus',
  'dnsmasq-base',
  'dnsperf',
  'docker-registry',
  'git',
  'iputils-ping',
  'mmdebstrap',
  'nats-server',
  'openssh-client',
  'openssh-server',
  'openssl',
  'perl-base',
  'php-cli',
  'php-curl',
  'procps',
  'python3',
  'systemd',
  'ufw',
  'wireguard-go',
  'wireguard-tools',
];

/** What the benchmarks compare with and measure with. */
export const benchPackages = [...testPackages, 'aardvark-dns'];

/** @returns {string[]} one line for everything that keeps this machine from running the project */
export function unmetNeeds() {
  const needs = [];
  if (process.platform !== 'linux') return [`Linux (this is ${process.platform})`];
  const release = Object.fromEntries(
    readFileSync('/etc/os-release', 'utf8')
      .split('\n')
      .filter(line => line.includes('='))
      .map(line => [
        line.slice(0, line.indexOf('=')),
        line.slice(line.indexOf('=') + 1).replace(/^"|"$/g, ''),
      ]),
  );
  if (release.ID !== 'debian' || Number.parseInt(release.VERSION_ID ?? '99', 10) < 12)
    needs.push(`Debian 12 or newer (this is ${release.PRETTY_NAME ?? 'something else'})`);
  if (process.getuid() !== 0)
    needs.push('root: Podman, network namespaces and mounts are made for real (sudo npm …)');
  if (process.arch !== 'x64' && process.arch !== 'arm64')
    needs.push(`an x64 or arm64 machine (this is ${process.arch})`);
  return needs;
}

/** @param {string[]} packages @returns {string[]} those that dpkg does not know as installed */
export function missingPackages(packages) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own notation
  const query = spawnSync('dpkg-query', ['-W', '-f=${Package} ${db:Status-Abbrev}\n', '--', ...packages], {
    encoding: 'utf8',
  });
  const installed = new Set(
    (query.stdout ?? '')
      .split('\n')
      .filter(line => / ii /.test(`${line} `))
      .map(line => line.split(' ')[0]),
  );
  return packages.filter(name => !installed.has(name));
}

const systemctl = ['/usr/bin/systemctl', '/bin/systemctl'].find(path => existsSync(path));

/** @param {string[]} packages */
export function installPackages(packages, run) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const lock = 'DPkg::Lock::Timeout=300';
  // Its sshd is for hosts that tests make. Debian would start it on this machine as well, which is nobody's wish here.
  if (packages.includes('openssh-server') && systemctl !== undefined)
    run(systemctl, ['mask', '--', 'ssh.service', 'ssh.socket'], { env });
  run('apt-get', ['-o', lock, 'update', '-q'], { env });
  run('apt-get', ['-o', lock, 'install', '-q', '-y', '--no-install-recommends', '--', ...packages], { env });
}
