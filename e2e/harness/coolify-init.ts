import { runChild } from '@coold/runtime';
import { createCoolifyCli, generationOf, type RunCoolify } from './coolify-cli.ts';
import type { MeshHost } from './mesh.ts';
import { expectExec, HarnessError, type Host } from './provider.ts';

export interface CoolifyInit {
  /** The path of the `coolify` program: COOLIFY_BIN. */
  bin: string;
  /** The private key that the hosts accept. */
  sshKey: string;
}

/**
 * Joins hosts to a mesh as operators do, with `coolify init`; the first host is central. Reads the result back:
 * addresses on wg0 and each namespace's Podman network.
 *
 * @throws HarnessError with coolify's output, or naming what is missing on a host
 */
export async function joinByCoolify(
  hosts: readonly Host[],
  namespaces: readonly string[],
  { bin, sshKey }: CoolifyInit,
): Promise<MeshHost[]> {
  const run: RunCoolify = (args, timeoutMs) => runChild(bin, args, { timeoutMs });
  const cli = createCoolifyCli(run, await generationOf(run));
  await cli.bootstrap({ servers: hosts.map(({ address }) => address), namespaces, sshKey });
  return await Promise.all(hosts.map(host => readBack(host, namespaces)));
}

/** Reads what `coolify init` has set up on a host. @throws HarnessError naming what is missing */
export async function readBack(host: Host, namespaces: readonly string[]): Promise<MeshHost> {
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

/** Returns the text at a path in JSON. */
function text(json: unknown, path: readonly (string | number)[], what: string): string {
  let value = json;
  for (const key of path) value = (value as Record<string | number, unknown> | null | undefined)?.[key];
  if (typeof value !== 'string') throw new HarnessError(`${what} is not there`);
  return value;
}
