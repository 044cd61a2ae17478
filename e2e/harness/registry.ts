import { eventually } from './eventually.ts';
import { busyboxImage } from './images.ts';
import type { MeshHost } from './mesh.ts';
import { expectExec } from './provider.ts';

const port = 5000;
const htpasswdPath = '/etc/e2e-registry.htpasswd';
/** The credentials for a registry with authentication. */
export const registryAuth = { username: 'robot', password: 'secret-word' };
/** bcrypt of that password, as the registry requires; a plain machine has no program to create it. */
const htpasswd = 'robot:$2b$05$abcdefghijklmnopqrstuuUOabO4v2PoT/v47Y.znQK.9MsMDnesq\n';

/**
 * Starts Debian's docker-registry on one host, reachable over wg0 by all of them, without TLS.
 *
 * @param asks whether it requires `registryAuth`
 * @returns its address, the first part of an image reference
 * @throws HarnessError
 */
export async function startRegistry(
  on: MeshHost,
  hosts: readonly MeshHost[],
  { asks = false } = {},
): Promise<string> {
  const address = `${on.mgmtIp}:${port}`;
  const config = {
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: '/var/lib/e2e-registry' }, delete: { enabled: true } },
    http: { addr: address },
    ...(asks ? { auth: { htpasswd: { realm: 'e2e', path: htpasswdPath } } } : {}),
  };
  await on.host.put(htpasswd, htpasswdPath, 0o600);
  await on.host.put(JSON.stringify(config), '/etc/e2e-registry.yml', 0o644); // YAML is a superset of JSON
  await expectExec(on.host, [
    ...(['systemd-run', '--quiet', '--unit', 'e2e-registry', '--'] as const),
    ...['docker-registry', 'serve', '/etc/e2e-registry.yml'],
  ]);
  const plain = `[[registry]]\nlocation = "${address}"\ninsecure = true\n`;
  for (const { host } of hosts) {
    await host.put(plain, `/etc/containers/registries.conf.d/e2e-registry-${on.name}.conf`, 0o644);
    // Podman's service reads these files once, at the latest when coold first checks Podman.
    await expectExec(host, ['systemctl', 'try-restart', 'podman.service']);
  }
  const answers = async () => {
    const { stdout } = await on.host.exec([
      ...(['curl', '-sS', '--output', '/dev/null', '--write-out', '%{http_code}'] as const),
      `http://${address}/v2/`,
    ]);
    return stdout.trim() === (asks ? '401' : '200') ? true : undefined;
  };
  await eventually('the registry to answer', answers, { timeoutMs: 15_000 });
  return address;
}

/** Pushes a host's busybox image to a registry. @returns the digest for pulls */
export async function pushBusybox({ host }: MeshHost, reference: string): Promise<string> {
  const digestFile = '/root/e2e-digest';
  await expectExec(host, ['podman', 'push', '--quiet', '--digestfile', digestFile, busyboxImage, reference]);
  return (await host.get(digestFile)).toString().trim();
}
