import { expectExec, type Host } from '../provider.ts';
import { unit, unitName } from './partition.ts';

/** What a fresh Debian lacks of what the product and the scenarios need. */
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

/** Debian's mirrors are slow at times, and its own first update may hold the lock. */
const installTimeoutMs = 900_000;

/** More programs at once over our one connection than sshd grants by itself, which are 10. */
const sshdSettings = 'MaxSessions 200\n';

/** Makes a host of a fresh server: the packages, a journal that outlives reboots, and nothing that upgrades by itself. */
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

/** In the order of `packages`. */
export async function missingPackages(host: Pick<Host, 'exec'>): Promise<string[]> {
  // Packages that dpkg has never heard of make it end with 1; the others are listed all the same.
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own notation
  const format = '${Package} ${db:Status-Status}\n';
  const { stdout } = await host.exec(['dpkg-query', '--show', `--showformat=${format}`, '--', ...packages]);
  const installed = new Set(stdout.split('\n'));
  return packages.filter(name => !installed.has(`${name} installed`));
}
