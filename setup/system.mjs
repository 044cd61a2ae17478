// What the machine itself must bring: Debian, root, and Debian's own packages. Runs on the Node a fresh
// machine has (20 or newer), before anything of this repository is installed.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** Debian packages each task needs; `npm test` needs what quickstart needs, and more. */
export const quickstartPackages = [
  'buildah',
  'busybox-static',
  'ca-certificates',
  'catatonit',
  'conmon',
  'crun',
  'curl',
  'dbus',
  'git',
  'iproute2',
  'iptables',
  'libatomic1',
  'mount',
  'netavark',
  'nftables',
  'podman',
  'procps',
  'systemd',
  'util-linux',
  'wireguard-go',
  'wireguard-tools',
];
/** Made smaller and independent of the machine: the runtime inside the installable package. */
const crossPackages =
  process.arch === 'x64'
    ? ['binutils-aarch64-linux-gnu', 'libatomic1-arm64-cross']
    : ['binutils-x86-64-linux-gnu', 'libatomic1-amd64-cross'];
export const packagingPackages = ['binutils', ...crossPackages, 'libatomic1', 'patchelf'];
/** What the demo needs: the package, a registry, certificates of brokers, and PHP, by which the harness calls them. */
export const demoPackages = [
  ...quickstartPackages,
  ...packagingPackages,
  ...['docker-registry', 'openssl', 'php-cli', 'php-curl'],
];
/** Programs for the other kind of machine run on this one by them. */
const emulationPackages =
  process.arch === 'x64'
    ? ['libc6-arm64-cross', 'libstdc++6-arm64-cross', 'qemu-user-static']
    : ['libc6-amd64-cross', 'libstdc++6-amd64-cross', 'qemu-user-static'];
export const testPackages = [
  ...quickstartPackages,
  ...packagingPackages,
  ...emulationPackages,
  'bind9-dnsutils',
  'conntrack',
  'dnsmasq-base',
  'dnsperf',
  // fish, zsh and man-db read what the Debian packages bring for them, lintian reads the packages.
  'fish',
  'docker-registry',
  'iputils-ping',
  'lintian',
  'man-db',
  'mmdebstrap',
  'nats-server',
  'openssh-client',
  'openssh-server',
  'openssl',
  'perl-base',
  'php-cli',
  'php-curl',
  // Laravel's own packages, for the PHP client beside them.
  'php-guzzlehttp-guzzle',
  'php-illuminate-events',
  'php-illuminate-http',
  'php-illuminate-queue',
  'php-sqlite3',
  'php-vlucas-phpdotenv',
  'prometheus',
  'python3',
  // schemathesis is installed by pip.
  'python3-venv',
  'ufw',
  'zsh',
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
  // In runlevel 1 the scripts of System V start nothing, where systemd is not there to be told.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const lock = 'DPkg::Lock::Timeout=300';
  // Its sshd is for hosts that tests make. Debian would start it on this machine as well, which is unwanted here.
  // So is a Prometheus of this machine: tests check configurations with its tools.
  const unwanted = [
    ...(packages.includes('openssh-server') ? ['ssh.service', 'ssh.socket'] : []),
    ...(packages.includes('prometheus') ? ['prometheus.service'] : []),
  ];
  if (unwanted.length > 0 && systemctl !== undefined) run(systemctl, ['mask', '--', ...unwanted], { env });
  run('apt-get', ['-o', lock, 'update', '-q'], { env });
  run('apt-get', ['-o', lock, 'install', '-q', '-y', '--no-install-recommends', '--', ...packages], { env });
}
