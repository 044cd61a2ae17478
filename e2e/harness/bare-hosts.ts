// Prepares what a page takes for granted on its readers' machines and what the lab cannot give: the internet.
import { basename } from 'node:path';
import { findProgram } from '@coold/testbed';
import { makeSshKey, sshKeyPath } from './coolify-ground.ts';
import { putStandIn } from './corrosion.ts';
import { loadBusyboxImage } from './images.ts';
import { builtPackage } from './product.ts';
import { expectExec, type Host } from './provider.ts';
import { startRegistry } from './registry.ts';

/** The folder of pages in nginx's image. */
const pages = '/usr/share/nginx/html';
const standInPath = '/usr/local/bin/corrosion';

/**
 * Creates an SSH key for root of a host, without a passphrase. `openSsh` accepts it on another host.
 *
 * @returns the public key
 */
export async function makeRootKey(central: Host): Promise<string> {
  const key = await makeSshKey(central);
  const settings = `Host *\nIdentityFile ${sshKeyPath}\nStrictHostKeyChecking accept-new\nLogLevel ERROR\n`;
  await central.put(settings, '/root/.ssh/config', 0o600);
  return key;
}

/**
 * Hosts of the lab reach no Debian mirror. What pages install with apt is installed already, and apt gets no sources
 * that it would wait for. So an `apt-get install` of a page fails here for a package that the lab does not have.
 */
export async function cutApt(host: Host): Promise<void> {
  await host.put('', '/etc/apt/sources.list', 0o644);
  await expectExec(host, ['rm', '-rf', '/etc/apt/sources.list.d']);
}

/** Puts the archive into /root, where pages expect it. @returns the name of the folder in it */
export async function putArchive(host: Host): Promise<string> {
  const file = await builtPackage();
  await host.put({ file }, `/root/${basename(file)}`, 0o600);
  return basename(file, '.tar.gz');
}

/**
 * Makes an archive of a newer release from the one in /root: the same programs under another version number.
 *
 * @param folder the folder in the archive
 */
export async function putNewerArchive(
  host: Host,
  folder: string,
  newer: string,
  version: string,
): Promise<void> {
  const script = [
    'cd "$(mktemp -d)"',
    'tar -xzf "/root/$1.tar.gz"',
    'mv "$1" "$2"',
    'echo "$3" >"$2/RELEASE"',
    'tar -c "$2" | gzip -1 >"/root/$2.tar.gz"',
    'rm -rf "$PWD"',
  ];
  await expectExec(host, ['bash', '-euc', script.join('\n'), 'bash', folder, newer, `${version}-next`]);
}

/**
 * Puts Corrosion's program into /root of a host: the real one when it is on this machine's PATH, else the stand-in,
 * whose files are placed on all hosts that will run it.
 */
export async function putCorrosion(central: Host, hosts: readonly Host[]): Promise<'corrosion' | 'stand-in'> {
  const real = findProgram('corrosion', process.env['PATH'] ?? '');
  if (real !== undefined) {
    await central.put({ file: real }, '/root/corrosion', 0o755);
    return 'corrosion';
  }
  const starts = await Promise.all(hosts.map(host => putStandInFiles(host)));
  await central.put(starts[0] ?? '', '/root/corrosion', 0o755);
  return 'stand-in';
}

/** Puts the stand-in's files on a host. @returns the program that starts it */
export async function putStandInFiles(host: Host): Promise<Uint8Array> {
  await putStandIn(host);
  const start = await host.get(standInPath);
  await expectExec(host, ['rm', standInPath]);
  return start;
}

/**
 * Starts a registry on one host that stands in for docker.io on all of them. It has `library/nginx:alpine`, made of
 * busybox, which serves nginx's welcome page.
 *
 * @returns the registry's address
 */
export async function standInForDockerHub(on: Host, hosts: readonly Host[]): Promise<string> {
  const member = (host: Host) => ({
    name: host.name,
    host,
    mgmtIp: host.address,
    namespaces: {},
    publicKey: '',
  });
  const registry = await startRegistry(member(on), hosts.map(member));
  const image = `${registry}/library/nginx:alpine`;
  const serve = `mkdir -p ${pages}; [ -e ${pages}/index.html ] || echo "Welcome to nginx!" >${pages}/index.html; exec httpd -f -p 80 -h ${pages}`;
  await loadBusyboxImage(on, { name: image, command: ['sh', '-c', serve] });
  await expectExec(on, ['podman', 'push', '--quiet', '--tls-verify=false', image], { timeoutMs: 120_000 });
  await Promise.all(hosts.map(host => mirrorDockerHub(host, registry)));
  return registry;
}

/** Makes a host pull docker.io's images from the registry that stands in for it. */
export async function mirrorDockerHub(host: Host, registry: string): Promise<void> {
  const mirror = `[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "${registry}"\ninsecure = true\n`;
  await host.put(mirror, '/etc/containers/registries.conf.d/e2e-docker-hub.conf', 0o644);
  await expectExec(host, ['systemctl', 'try-restart', 'podman.service']);
}
