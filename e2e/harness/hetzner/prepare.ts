import { expectExec, type Host } from '../provider.ts';
import { unit, unitName } from './partition.ts';

/** Packages that the product and the scenarios need and a fresh Debian lacks. */
export const packages = [
  'bind9-dnsutils',
  'buildah',
  'ca-certificates',
  'conmon',
  'crun',
  'curl',
  'dnsmasq-base',
  'dnsperf',
  'git',
  'iproute2',
  'iptables',
  'iputils-ping',
  'libatomic1',
  'netavark',
  'nftables',
  'php-cli',
  'php-curl',
  'podman',
  'procps',
  'wireguard-tools',
] as const;

/** Debian's mirrors can be slow, and the first update of a fresh system may hold apt's lock. */
const installTimeoutMs = 900_000;

/** Allows more concurrent programs over our one connection than sshd's default of 10. */
const sshdSettings = 'MaxSessions 200\n';

/** Prepares a fresh server: installs the packages, makes the journal persistent, and disables automatic upgrades. */
export async function prepareHost(host: Pick<Host, 'name' | 'exec' | 'put'>): Promise<void> {
  await expectExec(host, ['systemctl', 'mask', '--now', 'apt-daily.timer', 'apt-daily-upgrade.timer']);
  await installPackages(host);
  await expectExec(host, ['mkdir', '-p', '/var/log/journal']);
  await expectExec(host, ['journalctl', '--flush']);
  await host.put(sshdSettings, '/etc/ssh/sshd_config.d/00-coolify-e2e.conf', 0o644);
  await expectExec(host, ['systemctl', 'reload', 'ssh.service']);
  await host.put(unit, `/etc/systemd/system/${unitName}`, 0o644);
  await expectExec(host, ['systemctl', 'daemon-reload']);
  await expectExec(host, ['systemctl', 'enable', '--quiet', unitName]);
}

async function installPackages(host: Pick<Host, 'name' | 'exec'>): Promise<void> {
  const missing = await missingPackages(host);
  if (missing.length === 0) return;
  const options = { env: { DEBIAN_FRONTEND: 'noninteractive' }, timeoutMs: installTimeoutMs };
  const apt = ['apt-get', '-q', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=5'] as const;
  await expectExec(host, [...apt, 'update'], options);
  await expectExec(host, [...apt, 'install', '-y', '--no-install-recommends', '--', ...missing], options);
}

/** Returns the missing packages, in the order of `packages`. */
export async function missingPackages(host: Pick<Host, 'exec'>): Promise<string[]> {
  // Packages that dpkg has never heard of make it end with 1; the others are listed all the same.
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own notation
  const format = '${Package} ${db:Status-Status}\n';
  const { stdout } = await host.exec(['dpkg-query', '--show', `--showformat=${format}`, '--', ...packages]);
  const installed = new Set(stdout.split('\n'));
  return packages.filter(name => !installed.has(`${name} installed`));
}
