import { runChild } from '@coold/runtime';
import type { MeshHost } from './mesh.ts';
import { expectExec, HarnessError, type Host } from './provider.ts';

export interface CoolifyInit {
  /** The `coolify` program: COOLIFY_BIN. */
  bin: string;
  /** Private key that the hosts let in. */
  sshKey: string;
}

/** Installs packages on every host; minutes on small machines. */
const timeoutMs = 20 * 60_000;

/**
 * Joins hosts as operators do, by `coolify init apply`, the first host being central, and reads back what that made of
 * them: addresses on wg0 and each namespace's Podman network.
 *
 * @throws HarnessError with what coolify said, or naming what it did not leave on a host
 */
export async function joinByCoolify(
  hosts: readonly Host[],
  namespaces: readonly string[],
  { bin, sshKey }: CoolifyInit,
): Promise<MeshHost[]> {
  const servers = hosts.map(({ address }) => address);
  const args = [
    ...['init', 'apply', '--servers', servers.join(','), '--central', servers[0] ?? ''],
    ...['--namespaces', namespaces.join(','), '--ssh-key', sshKey, '--yes'],
  ];
  const { code, stdout, stderr } = await runChild(bin, args, { timeoutMs });
  if (code !== 0) {
    const said = (stderr.trim() || stdout.trim()).replaceAll(/\s*\n\s*/g, ' | ').slice(-600);
    throw new HarnessError(`coolify init apply failed (${code ?? 'signal'}): ${said}`);
  }
  return await Promise.all(hosts.map(host => readBack(host, namespaces)));
}

async function readBack(host: Host, namespaces: readonly string[]): Promise<MeshHost> {
  const addresses: unknown = JSON.parse(
    await expectExec(host, ['ip', '-j', '-4', 'address', 'show', 'dev', 'wg0']),
  );
  const mgmtIp = text(addresses, [0, 'addr_info', 0, 'local'], `${host.name}: the address of wg0`);
  const publicKey = (await expectExec(host, ['wg', 'show', 'wg0', 'public-key'])).trim();
  const networks: MeshHost['namespaces'] = {};
  for (const namespace of namespaces) {
    const network = `coolify-${namespace}-mesh`;
    const found: unknown = JSON.parse(await expectExec(host, ['podman', 'network', 'inspect', network]));
    const at = (key: string) => text(found, [0, 'subnets', 0, key], `${host.name}: ${key} of ${network}`);
    networks[namespace] = { network, subnet: at('subnet'), gateway: at('gateway') };
  }
  return { name: host.name, host, mgmtIp, publicKey, namespaces: networks };
}

/** Follows a path into JSON to a text. */
function text(json: unknown, path: readonly (string | number)[], what: string): string {
  let value = json;
  for (const key of path) value = (value as Record<string | number, unknown> | null | undefined)?.[key];
  if (typeof value !== 'string') throw new HarnessError(`${what} is not there`);
  return value;
}
