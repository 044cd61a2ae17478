import { eventually } from './eventually.ts';
import { type PlannedHost, planMesh } from './mesh-plan.ts';
import { expectExec, HarnessError, type Host } from './provider.ts';
import { generateKeys, type KeyPair, type Peer, wgQuickConfig, wireguardPort } from './wireguard.ts';

/** A host with its place in the mesh. */
export interface MeshHost extends PlannedHost {
  host: Host;
  publicKey: string;
}

/**
 * Joins hosts by WireGuard and gives each a Podman network per namespace: wg0 by wg-quick@wg0, which a reboot brings back
 * by itself, in the kernel or by wireguard-go where the kernel has none. Resolves when every host has heard from every
 * other one.
 *
 * @returns in the order of `hosts`
 * @throws HarnessError
 */
export async function joinMesh(hosts: readonly Host[], namespaces: readonly string[]): Promise<MeshHost[]> {
  const plan = planMesh(
    hosts.map(({ name }) => name),
    namespaces,
  );
  const members = hosts.map((host, number) => {
    const planned = plan.hosts[number];
    if (planned === undefined) throw new HarnessError(`no place in the mesh for ${host.name}`);
    return { ...planned, host, keys: generateKeys() };
  });
  await Promise.all(
    members.map(async member => {
      const peers = members.filter(other => other !== member).map(asPeer);
      const own = { privateKey: member.keys.privateKey, address: `${member.mgmtIp}/32` };
      await member.host.put(wgQuickConfig(own, peers), '/etc/wireguard/wg0.conf', 0o600);
      await expectExec(member.host, ['systemctl', 'enable', '--quiet', '--now', 'wg-quick@wg0.service']);
      await createNetworks(member);
    }),
  );
  await Promise.all(members.map(member => heardFrom(member.host, members.length - 1)));
  return members.map(({ keys, ...member }) => ({ ...member, publicKey: keys.publicKey }));
}

function asPeer(member: PlannedHost & { host: Host; keys: KeyPair }): Peer {
  const subnets = Object.values(member.namespaces).map(({ subnet }) => subnet);
  return {
    publicKey: member.keys.publicKey,
    endpoint: `${member.host.address}:${wireguardPort}`,
    allowedIps: [`${member.mgmtIp}/32`, ...subnets],
  };
}

/** Without Podman's DNS: the gateway's port 53 belongs to coold. One after the other, since Podman locks its networks. */
async function createNetworks({ host, namespaces }: { host: Host } & PlannedHost): Promise<void> {
  for (const { network, subnet, gateway } of Object.values(namespaces)) {
    await expectExec(host, [
      ...(['podman', 'network', 'create', '--disable-dns'] as const),
      ...['--subnet', subnet, '--gateway', gateway, network],
    ]);
  }
}

/** Resolves when the host has completed a handshake with this many peers since wg0 came up. */
export async function heardFrom(host: Host, peers: number, timeoutMs = 15_000): Promise<void> {
  await eventually(
    `${host.name} to have heard from ${peers} of its mesh`,
    async () => {
      const { stdout } = await host.exec(['wg', 'show', 'wg0', 'latest-handshakes']);
      const heard = stdout.split('\n').filter(line => /\t[1-9]\d*$/.test(line)).length;
      return heard >= peers ? true : undefined;
    },
    { timeoutMs },
  );
}
