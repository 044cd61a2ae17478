import { eventually } from './eventually.ts';
import { type PlannedHost, planMesh } from './mesh-plan.ts';
import { expectExec, HarnessError, type Host } from './provider.ts';
import { generateKeys, type KeyPair, type Peer, wgQuickConfig, wireguardPort } from './wireguard.ts';

/** A host with its addresses in the mesh. */
export interface MeshHost extends PlannedHost {
  host: Host;
  publicKey: string;
}

/**
 * Joins hosts by WireGuard and creates a Podman network per namespace on each. wg-quick@wg0 brings wg0 up, also after a
 * reboot, with the kernel's WireGuard or with wireguard-go where the kernel has none. Resolves when every host has had
 * a handshake with every other.
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

/**
 * Routes networks to one host from all the others: their AllowedIPs and routes, in wg-quick's configuration and in the
 * running one.
 *
 * @throws HarnessError
 */
export async function routeNetworks(
  members: readonly MeshHost[],
  owner: MeshHost,
  networks: readonly string[],
): Promise<void> {
  const configuration = '/etc/wireguard/wg0.conf';
  for (const { host } of members.filter(member => member !== owner)) {
    const before = (await host.get(configuration)).toString();
    const own = `AllowedIPs = ${owner.mgmtIp}/32, `;
    await host.put(before.replace(own, `${own}${networks.join(', ')}, `), configuration, 0o600);
    const stripped = await expectExec(host, ['wg-quick', 'strip', 'wg0']);
    // wg needs a file that it can open, and stdin is a socket here.
    const synced = '/run/wg0.stripped';
    await host.put(stripped, synced, 0o600);
    await expectExec(host, ['wg', 'syncconf', 'wg0', synced]);
    for (const network of networks) await expectExec(host, ['ip', 'route', 'replace', network, 'dev', 'wg0']);
  }
}

/**
 * Creates networks without Podman's DNS: port 53 of the gateway belongs to coold. Sequential, because Podman locks its
 * networks.
 */
async function createNetworks({ host, namespaces }: { host: Host } & PlannedHost): Promise<void> {
  for (const { network, subnet, gateway } of Object.values(namespaces)) {
    await expectExec(host, [
      ...(['podman', 'network', 'create', '--disable-dns'] as const),
      ...['--subnet', subnet, '--gateway', gateway, network],
    ]);
  }
}

/** Resolves when the host has completed handshakes with this many peers since wg0 came up. */
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
