import { eventually } from './eventually.ts';
import { busyboxImage } from './images.ts';
import type { MeshHost } from './mesh.ts';
import { expectExec } from './provider.ts';

const port = 5000;
const htpasswdPath = '/etc/e2e-registry.htpasswd';
/** Who may use a registry that asks. */
export const registryAuth = { username: 'robot', password: 'secret-word' };
/** bcrypt of that password, as the registry wants it: no program on a plain machine makes one. */
const htpasswd = 'robot:$2b$05$abcdefghijklmnopqrstuuUOabO4v2PoT/v47Y.znQK.9MsMDnesq\n';

/**
 * Debian's docker-registry on one host, reached over wg0 by all of them, without TLS.
 *
 * @param asks whether it takes none but `registryAuth`
 * @returns its address, the beginning of a reference
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
  await on.host.put(JSON.stringify(config), '/etc/e2e-registry.yml', 0o644); // YAML is a superset of it
  await expectExec(on.host, [
    ...(['systemd-run', '--quiet', '--unit', 'e2e-registry', '--'] as const),
    ...['docker-registry', 'serve', '/etc/e2e-registry.yml'],
  ]);
  const plain = `[[registry]]\nlocation = "${address}"\ninsecure = true\n`;
  for (const { host } of hosts)
    await host.put(plain, `/etc/containers/registries.conf.d/e2e-registry-${on.name}.conf`, 0o644);
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

/** Puts the busybox image of a host into a registry. @returns the digest that a pull of it gives */
export async function pushBusybox({ host }: MeshHost, reference: string): Promise<string> {
  const digestFile = '/root/e2e-digest';
  await expectExec(host, ['podman', 'push', '--quiet', '--digestfile', digestFile, busyboxImage, reference]);
  return (await host.get(digestFile)).toString().trim();
}
